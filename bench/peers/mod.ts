/**
 * What others do with the same topic, to be measured beside ours. README.md says what they promise, which is less.
 *
 * @example
 * await PEERS.telegraf.prepare();
 * const child = await PEERS.telegraf.start({
 *   bootstrapServers, topic, databaseUrl, table: "heartbeats_telegraf", setting: "throughput",
 * });
 * // child.pid, child.running, child.tail ...
 * await child.stop(10_000);
 */
import type { Peer } from "./peer.ts";
import { python } from "./python.ts";
import { telegraf } from "./telegraf.ts";

export { referenceTable } from "./reference_table.ts";
export type { Peer, PeerRun, Setting } from "./peer.ts";

export const PEERS = { telegraf, python } satisfies Record<string, Peer>;
export type PeerName = keyof typeof PEERS;
