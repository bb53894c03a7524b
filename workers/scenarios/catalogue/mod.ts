/** All scenarios, in the order in which they are published. */
import type { Scenario } from "../scenario.ts";
import { CUSTOMERS } from "./customers.ts";
import { HOSTILE } from "./hostile.ts";
import { MALFORMED_VALUES } from "./malformed.ts";
import { RATES } from "./rates.ts";
import { REPEATS } from "./repeats.ts";
import { TIMESTAMPS } from "./timestamps.ts";

export const SCENARIOS: readonly Scenario[] = [
  ...RATES,
  ...REPEATS,
  ...TIMESTAMPS,
  ...CUSTOMERS,
  ...MALFORMED_VALUES,
  ...HOSTILE,
];
