import type { Stack } from "../../stack/mod.ts";
import type { Resources } from "../../workers/_shared/lifecycle.ts";

export interface Trial {
  readonly stack: Stack;
  readonly runs: number;
  /** Number that each run stores, except in groups. */
  readonly records: number;
  /** Percent of a core that each consumer of a group may use. */
  readonly share: number;
  /** Duration of the measurement of a group, after its warm-up. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly resources: Resources;
}
