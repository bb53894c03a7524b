/** The heartbeats that consumers send to their group, counted on the wire. */
import { Buffer } from "node:buffer";
import type { Link } from "../../stack/network/link.ts";
import { eventually } from "../../lab/eventually.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";

/** https://kafka.apache.org/protocol#protocol_api_keys */
const HEARTBEAT = 12;

/** Requests that pass on a link to Kafka, until `stop`. */
export class Requests {
  total = 0;
  heartbeats = 0;
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
    link.onRequest = (bytes) => {
      this.total++;
      // Behind the message's length.
      if (Buffer.from(bytes).readInt16BE(4) === HEARTBEAT) this.heartbeats++;
      return true;
    };
  }

  /** Waits for so many heartbeats more. */
  async more(heartbeats: number): Promise<void> {
    const goal = this.heartbeats + heartbeats;
    await eventually(`${heartbeats} heartbeats more`, () => this.heartbeats >= goal);
  }

  stop(): void {
    this.#link.onRequest = () => true;
  }
}

/**
 * Waits until the group has come to rest: a member joins again when it has looked at the topic a second time.
 *
 * @returns how often each consumer was given partitions until now
 */
export async function atRest(requests: Requests, consumers: readonly WorkerProcess[]): Promise<number[]> {
  const assignments = () => consumers.map((consumer) => consumer.events("group.assigned").length);
  for (;;) {
    const before = assignments();
    // At a tenth of the shortest session each: longer than two looks at the topic.
    await requests.more(20 * consumers.length);
    if (assignments().join() === before.join()) return before;
  }
}
