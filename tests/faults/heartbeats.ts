import { Buffer } from "node:buffer";
import type { Link } from "../../stack/network/link.ts";
import { eventually } from "../../lab/eventually.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";

/** Source: https://kafka.apache.org/protocol#protocol_api_keys */
const HEARTBEAT = 12;
/** The API key follows the length of the message. */
const API_KEY_POS = 4;

/** Counts the requests, and the group heartbeats among them, that pass through a link to Kafka. */
export class Requests {
  total = 0;
  heartbeats = 0;
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
    link.onRequest = (bytes) => {
      this.total++;
      if (Buffer.from(bytes).readInt16BE(API_KEY_POS) === HEARTBEAT) this.heartbeats++;
      return true;
    };
  }

  async waitForHeartbeats(count: number): Promise<void> {
    const goal = this.heartbeats + count;
    await eventually(`${count} more heartbeats`, () => this.heartbeats >= goal);
  }

  stop(): void {
    this.#link.onRequest = () => true;
  }
}

/**
 * Waits until the group's assignment is stable. It changes once more after the start, because a member joins again after its
 * second read of the topic.
 *
 * @returns how many times each consumer got an assignment
 */
export async function assignmentsWhenStable(
  requests: Requests,
  consumers: readonly WorkerProcess[],
): Promise<number[]> {
  const assignments = () => consumers.map((consumer) => consumer.events("group.assigned").length);
  for (;;) {
    const before = assignments();
    // Each consumer sends 10 heartbeats per session timeout. 20 of them take longer than two reads of the topic.
    await requests.waitForHeartbeats(20 * consumers.length);
    if (assignments().join() === before.join()) return before;
  }
}
