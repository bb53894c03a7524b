/** All scenarios, in the order in which they are published. */
import { CUSTOMERS, TIMESTAMPS } from "./fields.ts";
import { HOSTILE } from "./hostile.ts";
import { RATES, REPEATS } from "./readings.ts";
import type { Scenario } from "./scenario.ts";

export const SCENARIOS: readonly Scenario[] = [...RATES, ...REPEATS, ...TIMESTAMPS, ...CUSTOMERS, ...HOSTILE];
