import type { Child } from "hono/jsx";

const SYMBOLS = { low: "▼", high: "▲", silent: "◌", ok: "✓", trouble: "✕" } as const;

/** A state as a symbol, words and a colour, so that the colour alone never tells it. */
export function Flag({ kind, children }: { readonly kind: keyof typeof SYMBOLS; readonly children?: Child }) {
  return (
    <span class={`flag ${kind}`}>
      <span aria-hidden="true">{SYMBOLS[kind]}</span> {children ?? kind}
    </span>
  );
}

/** Beats per minute, with a flag if they are beyond a limit. */
export function HeartRate(
  { bpm, anomaly }: { readonly bpm: number; readonly anomaly: "low" | "high" | null },
) {
  return anomaly === null ? <>{bpm} bpm</> : <Flag kind={anomaly}>{anomaly} {bpm} bpm</Flag>;
}
