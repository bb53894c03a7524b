import { parseSettings } from "../workers/_shared/env.ts";
import { LIMIT_SETTINGS, type Limits, limitsFrom } from "../workers/_shared/record/heartbeat.ts";

/** The consumer's default limits, in beats per minute, for lines and colours. The consumer itself flags anomalies. */
export const LIMITS: Limits = limitsFrom(parseSettings("dashboards", LIMIT_SETTINGS, {}), "dashboards");
