/** Other programs that store a topic in PostgreSQL. README.md says which promises of the consumer they do not make. */
import type { Peer } from "./peer.ts";
import { python } from "./python.ts";
import { telegraf } from "./telegraf.ts";

export { referenceTable } from "./reference_table.ts";
export type { Peer, PeerRun, Setting } from "./peer.ts";

export const PEERS = { telegraf, python } satisfies Record<string, Peer>;
