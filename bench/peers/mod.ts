/** Programs that do a similar job, to be measured beside the consumer. README.md says what they do not promise. */
import type { Peer } from "./peer.ts";
import { python } from "./python.ts";
import { telegraf } from "./telegraf.ts";

export { referenceTable } from "./reference_table.ts";
export type { Peer, PeerRun, Setting } from "./peer.ts";

export const PEERS = { telegraf, python } satisfies Record<string, Peer>;
