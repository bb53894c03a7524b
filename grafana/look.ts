/** Colours, units and thresholds, the same in every panel. */
import {
  type DynamicConfigValue,
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { LIMITS } from "./limits.ts";

/**
 * The palette of Okabe and Ito, made to be told apart with any kind of colour blindness. Its black and its yellow are
 * left out: one is lost on Grafana's dark theme and the other on the light one.
 */
export const COLOUR = {
  low: "#56B4E9", // sky blue
  within: "#009E73", // bluish green
  high: "#D55E00", // vermillion
  reject: "#CC79A7", // reddish purple
  warning: "#E69F00", // orange
  neutral: "#0072B2", // blue
} as const;

const IN_ORDER = Object.values(COLOUR);

/** Colours for things without a meaning of their own: neighbours differ, and after six they begin anew. */
export const cycle = (place: number): string => IN_ORDER[place % IN_ORDER.length] ?? COLOUR.neutral;

/** Grafana puts the space. */
export const BPM = "suffix:bpm";

/** @param base the colour below the first step */
export function steps(base: string, ...above: readonly (readonly [from: number, color: string])[]) {
  const all: Threshold[] = [{ value: null, color: base }];
  for (const [value, color] of above) all.push({ value, color });
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(all);
}

/** Low, within, high. A step begins at its value, and the thresholds themselves are no anomalies. */
export const heartRateSteps = steps(
  COLOUR.low,
  [LIMITS.lowBpm, COLOUR.within],
  [LIMITS.highBpm + 1, COLOUR.high],
);

export const fixed = (color: string) =>
  new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(color);

/** Light to dark: for series of a kind, such as partitions. */
export const shadesOf = (color: string) =>
  new FieldColorBuilder().mode(FieldColorModeId.Shades).fixedColor(color);

/** For an override: this field in this colour. */
export const colour = (color: string): DynamicConfigValue => ({
  id: "color",
  value: { mode: "fixed", fixedColor: color },
});

/** For an override: a cell filled by the field's thresholds or mappings. */
export const filledCell: DynamicConfigValue = {
  id: "custom.cellOptions",
  value: { type: "color-background", mode: "basic" },
};

/** For an override of a heart rate's column. */
export const heartRateCell: DynamicConfigValue[] = [
  { id: "unit", value: BPM },
  { id: "thresholds", value: heartRateSteps.build() },
  filledCell,
];

/** The word is always there beside the colour. */
export const anomalyMappings: ValueMapping[] = [
  {
    type: MappingType.ValueToText,
    options: {
      "low": { text: "▼ low", color: COLOUR.low, index: 0 },
      "high": { text: "▲ high", color: COLOUR.high, index: 1 },
      "low now": { text: "▼ low now", color: COLOUR.low, index: 2 },
      "high now": { text: "▲ high now", color: COLOUR.high, index: 3 },
      "low lately": { text: "▽ low lately", color: "transparent", index: 4 },
      "high lately": { text: "△ high lately", color: "transparent", index: 5 },
      "low and high lately": { text: "△▽ low and high lately", color: "transparent", index: 6 },
    },
  },
];

/** For an override of an anomaly's column. */
export const anomalyCell: DynamicConfigValue[] = [{ id: "mappings", value: anomalyMappings }, filledCell];

/** For an override of a consumer's state. */
export const consumerCell: DynamicConfigValue[] = [{
  id: "mappings",
  value: [{
    type: MappingType.ValueToText,
    options: {
      "ready": { text: "ready", color: COLOUR.within, index: 0 },
      "not ready": { text: "not ready", color: COLOUR.warning, index: 1 },
      "not running": { text: "not running", color: COLOUR.high, index: 2 },
    },
  }],
}, filledCell];
