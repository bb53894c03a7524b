import { CUSTOMERS, TIMESTAMPS } from "./fields.ts";
import { HOSTILE } from "./hostile.ts";
import { RATES, REPEATS } from "./readings.ts";
import type { Scenario } from "./scenario.ts";

/** The scenarios are published in this order. */
export const SCENARIOS: readonly Scenario[] = [...RATES, ...REPEATS, ...TIMESTAMPS, ...CUSTOMERS, ...HOSTILE];
