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
 * Colours of Okabe and Ito, which people with any colour blindness can tell apart. Their black is missing because it is
 * hard to see on Grafana's dark theme, and their yellow because it is hard to see on the light theme.
 */
export const COLOUR = {
  low: "#56B4E9",
  within: "#009E73",
  high: "#D55E00",
  reject: "#CC79A7",
  warning: "#E69F00",
  neutral: "#0072B2",
} as const;

const IN_ORDER = Object.values(COLOUR);

/** Colours for series that have no colour with a meaning. They repeat after six series. */
export const cycle = (place: number): string => IN_ORDER[place % IN_ORDER.length] ?? COLOUR.neutral;

/** A unit for Grafana, which puts a space before it. */
export const BPM = "suffix:bpm";

/** @param base the colour below the first step */
export function steps(base: string, ...above: readonly (readonly [from: number, color: string])[]) {
  const all: Threshold[] = [{ value: null, color: base }];
  for (const [value, color] of above) all.push({ value, color });
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(all);
}

/** A step of Grafana includes its own value. A heart rate equal to the upper alarm limit is no anomaly, hence `+ 1`. */
export const heartRateSteps = steps(
  COLOUR.low,
  [LIMITS.lowBpm, COLOUR.within],
  [LIMITS.highBpm + 1, COLOUR.high],
);

export const fixed = (color: string) =>
  new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(color);

/** Shades from light to dark, for several series of one query, such as partitions. */
export const shadesOf = (color: string) =>
  new FieldColorBuilder().mode(FieldColorModeId.Shades).fixedColor(color);

export const colour = (color: string): DynamicConfigValue => ({
  id: "color",
  value: { mode: "fixed", fixedColor: color },
});

export const filledCell: DynamicConfigValue = {
  id: "custom.cellOptions",
  value: { type: "color-background", mode: "basic" },
};

export const heartRateCell: DynamicConfigValue[] = [
  { id: "unit", value: BPM },
  { id: "thresholds", value: heartRateSteps.build() },
  filledCell,
];

/** A word always stands beside the colour. */
const anomalyMappings: ValueMapping[] = [
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

export const anomalyCell: DynamicConfigValue[] = [{ id: "mappings", value: anomalyMappings }, filledCell];

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
