/** The thresholds that are drawn: the defaults of the settings in the wire schema's module, which is their only home. */
import { parseSettings } from "../workers/_shared/env.ts";
import { LIMIT_SETTINGS, type Limits, limitsFrom } from "../workers/_shared/record/heartbeat.ts";

/** Beats per minute. Which reading is an anomaly was decided at ingest; these only colour and draw. */
export const LIMITS: Limits = limitsFrom(parseSettings("dashboards", LIMIT_SETTINGS, {}), "dashboards");
