/** Two things that the client takes for the end of all: a leader that one partition lacks, and a port that cannot exist. */
import { type Base, Connection, kGetApi, NetworkError, ResponseError } from "@platformatic/kafka";
import { PARTITION_LEADER_ERRORS } from "./error_codes.ts";

const OF_A_PARTITION = /^\/topics\/\d+\/partitions\/\d+$/;

type Done = (error: unknown, response?: unknown) => void;
/** As the client makes them: the last argument hears of the outcome. */
type Api = ((...args: unknown[]) => void) & { readonly key: number; readonly version: number };

/**
 * Kafka tells of each partition whether it has a leader. The client takes one that has none for the failure of the whole
 * answer, so that nobody could read or write the others, join a group or even learn who leads them.
 *
 * @returns the same client; its metadata names -1 as the leader of such a partition
 */
export function tolerateLeaderlessPartitions<Client extends Pick<Base, typeof kGetApi>>(
  client: Client,
): Client {
  const getApi = client[kGetApi].bind(client) as (name: string, callback: Done) => void;
  const bearing = (name: string, callback: Done) => {
    getApi(name, (error, api) => callback(error, name === "Metadata" && api ? bear(api as Api) : api));
  };
  return Object.assign(client, { [kGetApi]: bearing });
}

/** Its answer is taken for one when nothing else is wrong with it. */
function bear(api: Api): Api {
  const bearing = (...args: unknown[]) => {
    const done = args.at(-1) as Done;
    api(...args.slice(0, -1), (error: unknown, response: unknown) => {
      const isHarmless = error instanceof ResponseError &&
        error.errors.every(({ path, apiCode }) =>
          OF_A_PARTITION.test(path) && PARTITION_LEADER_ERRORS.has(apiCode)
        );
      return isHarmless ? done(null, error.response) : done(error, response);
    });
  };
  return Object.assign(bearing, { key: api.key, version: api.version });
}

const connect = Connection.prototype.connect;

/**
 * Where the socket throws, the client forgets whom to tell: the request would never end, and every later one to the same
 * broker would wait for it. Told as an event, it is a failed connection like any other.
 */
Connection.prototype.connect = function (this: Connection, host: string, port: number, ...done: never[]) {
  try {
    return Reflect.apply(connect, this, [host, port, ...done]);
  } catch (error) {
    const cause = error instanceof Error ? error : new Error(String(error));
    const failure = new NetworkError(`Connection to ${host}:${port} failed.`, { cause });
    queueMicrotask(() => this.emit("error", failure));
  }
};
