import { type Now, STEP_BPM } from "../view/view.ts";
import { Flag } from "./flag.tsx";
import { countOf, formatCount } from "../view/words.ts";

/** So that a bar of one customer is visible beside one of 100,000. */
const MIN_PERCENT = 1.5;
const AXIS = "88%";

/** A bar chart of how many customers have which heart rate. Positions are percentages, so that it fits every width. */
export function Distribution({ distribution, customers, limits: { min, max, low, high } }: Now) {
  const most = distribution.reduce((a, b) => b.customers > a.customers ? b : a, { from: 0, customers: 0 });
  if (most.customers === 0) return <p class="empty">No customer is reporting at the moment.</p>;
  const width = max + 1 - min;
  const x = (bpm: number) => `${((bpm - min) / width * 100).toFixed(2)}%`;
  const ticks = Array.from({ length: 10 }, (_, index) => min + 10 + index * 20).filter((bpm) => bpm < max);
  const within = customers.reporting - customers.low - customers.high;
  const summary = `The highest bar is ${countOf(most.customers, "customer")} with ${most.from} to ` +
    `${most.from + STEP_BPM - 1} bpm.`;
  return (
    <>
      <p class="legend">
        <Flag kind="low">{formatCount(customers.low)} below {low}</Flag>
        <span>{formatCount(within)} within the limits</span>
        <Flag kind="high">{formatCount(customers.high)} above {high}</Flag>
      </p>
      <svg role="img" aria-label={`${formatCount(within)} customers from ${low} to ${high} bpm. ${summary}`}>
        {distribution.map(({ from, customers: here }) => {
          const percent = Math.max(here / most.customers * 84, MIN_PERCENT);
          const end = from + STEP_BPM * 0.92;
          // A limit can cross a bar.
          const parts = [
            ["low", from, Math.min(end, low)],
            ["within", Math.max(from, low), Math.min(end, high + 1)],
            ["high", Math.max(from, high + 1), end],
          ] as const;
          return parts.filter(([, left, right]) => left < right).map(([kind, left, right]) => (
            <rect
              class={kind}
              x={x(left)}
              y={`${(88 - percent).toFixed(2)}%`}
              width={`${((right - left) / width * 100).toFixed(2)}%`}
              height={`${percent.toFixed(2)}%`}
            >
              <title>{`${from} to ${from + STEP_BPM - 1} bpm: ${countOf(here, "customer")}`}</title>
            </rect>
          ));
        })}
        {[low, high + 1].map((bpm) => <line class="limit" x1={x(bpm)} x2={x(bpm)} y1="0" y2={AXIS} />)}
        <line x1="0" x2="100%" y1={AXIS} y2={AXIS} />
        {ticks.map((bpm) => <text x={x(bpm)} y="100%">{bpm}</text>)}
      </svg>
      <p class="note">
        Beats per minute (bpm) of each customer's latest reading. {summary} Dashed: the limits.
      </p>
    </>
  );
}
