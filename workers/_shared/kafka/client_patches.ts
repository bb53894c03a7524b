/** Works around two defects of the client: a partition without a leader, and a connect() that throws. */
import { type Base, Connection, kGetApi, NetworkError, ResponseError } from "@platformatic/kafka";
import { PARTITION_LEADER_ERRORS } from "./error_codes.ts";

const OF_A_PARTITION = /^\/topics\/\d+\/partitions\/\d+$/;

type Done = (error: unknown, response?: unknown) => void;
/** The last argument is the callback. */
type Api = ((...args: unknown[]) => void) & { readonly key: number; readonly version: number };

/**
 * The client rejects the whole metadata response if one partition has no leader. Then it can neither read, write nor join a group.
 *
 * @returns the same client; its metadata has -1 as the leader of such a partition
 */
export function tolerateLeaderlessPartitions<Client extends Pick<Base, typeof kGetApi>>(
  client: Client,
): Client {
  const getApi = client[kGetApi].bind(client) as (name: string, callback: Done) => void;
  const tolerant = (name: string, callback: Done) => {
    getApi(name, (error, api) => callback(error, name === "Metadata" && api ? tolerate(api as Api) : api));
  };
  return Object.assign(client, { [kGetApi]: tolerant });
}

function tolerate(api: Api): Api {
  const tolerant = (...args: unknown[]) => {
    const done = args.at(-1) as Done;
    api(...args.slice(0, -1), (error: unknown, response: unknown) => {
      const isHarmless = error instanceof ResponseError &&
        error.errors.every(({ path, apiCode }) =>
          OF_A_PARTITION.test(path) && PARTITION_LEADER_ERRORS.has(apiCode)
        );
      return isHarmless ? done(null, error.response) : done(error, response);
    });
  };
  return Object.assign(tolerant, { key: api.key, version: api.version });
}

const connect = Connection.prototype.connect;

// If the socket throws, the client never calls back, so this request and all later ones to the same broker would wait for ever.
// Emitted as an event, the error is an ordinary failed connection.
Connection.prototype.connect = function (this: Connection, host: string, port: number, ...done: never[]) {
  try {
    return Reflect.apply(connect, this, [host, port, ...done]);
  } catch (error) {
    const cause = error instanceof Error ? error : new Error(String(error));
    const failure = new NetworkError(`Connection to ${host}:${port} failed.`, { cause });
    queueMicrotask(() => this.emit("error", failure));
  }
};
