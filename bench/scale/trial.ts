import type { Stack } from "../../stack/mod.ts";
import type { Resources } from "../../workers/_shared/lifecycle.ts";

export interface Trial {
  readonly stack: Stack;
  readonly runs: number;
  /** Number of records that each run stores. The part `groups` ignores it. */
  readonly records: number;
  /** Percent of a core that each consumer of a group may use. */
  readonly share: number;
  /** Duration of the measurement of a group, after its warm-up. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly resources: Resources;
}
