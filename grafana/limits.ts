import { parseSettings } from "../workers/_shared/env.ts";
import { LIMIT_SETTINGS, type Limits, limitsFrom } from "../workers/_shared/record/heartbeat.ts";

/** Defaults, in beats per minute, for lines and colours. The consumer decides which reading is an anomaly. */
export const LIMITS: Limits = limitsFrom(parseSettings("dashboards", LIMIT_SETTINGS, {}), "dashboards");
