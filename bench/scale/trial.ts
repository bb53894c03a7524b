/** What every part of the benchmark is given. */
import type { Stack } from "../../stack/mod.ts";
import type { Resources } from "../../workers/_shared/lifecycle.ts";

export interface Trial {
  readonly stack: Stack;
  readonly runs: number;
  /** That each run stores, but those of groups. */
  readonly records: number;
  /** Percent of a core that each consumer of a group may use. */
  readonly share: number;
  /** That a group is watched, once it is warm. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly resources: Resources;
}
