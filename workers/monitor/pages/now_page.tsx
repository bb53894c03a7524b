import { printable } from "../../_shared/output.ts";
import type { Attention, Now, Problem } from "../view/view.ts";
import { Distribution } from "./distribution.tsx";
import { Flag, HeartRate } from "./flag.tsx";
import { Instant } from "./instant.tsx";
import { CustomerLink, type Fragments, Layout, Section } from "./layout.tsx";
import { Table } from "./table.tsx";
import { countOf, formatCount, formatDuration, listOf } from "../view/words.ts";

const PARTS: Readonly<Record<Problem["part"], string>> = {
  broker: "the Kafka broker",
  database: "the database",
  consumer: "the consumer",
  rollup: "the rollup",
  lag: "the lag",
  ledger: "the ledger",
};
const EXAMPLE = `{"customer_id": "c-0017", "timestamp": "2026-07-14T09:30:00Z", "heart_rate": 72}`;

export function NowPage({ now }: { readonly now: Now }) {
  return (
    <Layout title="Now" page="now" live="/live/now">
      <h1>Now</h1>
      {Object.values(nowFragments(now))}
    </Layout>
  );
}

export function nowFragments(now: Now): Fragments {
  return {
    state: <State {...now} />,
    attention: (
      <Section id="attention" title="Who needs attention">
        {isEmpty(now) ? <NoReadings /> : <AttentionList {...now} />}
      </Section>
    ),
    distribution: (
      <Section id="distribution" title="Heart rates of all reporting customers">
        <Distribution {...now} />
      </Section>
    ),
    figures: (
      <Section id="figures" title="Pipeline">
        <Figures {...now} />
      </Section>
    ),
  };
}

function isEmpty({ customers }: Now): boolean {
  return customers.reporting + customers.silent === 0;
}

/** A screen reader announces only the sentence. The problems' texts may have figures that change all the time. */
function State(now: Now) {
  const { problems } = now;
  const kind = problems.length === 0 ? "ok" : "trouble";
  const parts = listOf([...new Set(problems.map(({ part }) => PARTS[part]))]);
  const well = isEmpty(now)
    ? "The pipeline is ready. No reading has arrived yet."
    : "All is well: every reading that arrives is stored.";
  return (
    <div id="state" class={`state ${kind}`}>
      <p role="status">
        <Flag kind={kind}>
          {parts === "" ? well : `${countOf(problems.length, "problem")} with ${parts}.`}
        </Flag>
      </p>
      {problems.length > 0 && <ul>{problems.map(({ text }) => <li>{printable(text)}</li>)}</ul>}
    </div>
  );
}

function AttentionList({ attention, customers, limits }: Now) {
  const all = customers.low + customers.high + customers.silent;
  return (
    <>
      <ul class="counts">
        <li>
          <strong>{formatCount(customers.high)}</strong> <Flag kind="high" /> above {limits.high} bpm
        </li>
        <li>
          <strong>{formatCount(customers.low)}</strong> <Flag kind="low" /> below {limits.low} bpm
        </li>
        <li>
          <strong>{formatCount(customers.silent)}</strong> <Flag kind="silent" /> no new reading
        </li>
        <li>
          <strong>{formatCount(customers.reporting)}</strong> reporting
        </li>
      </ul>
      {attention.length === 0
        ? (
          <p class="answer">
            <Flag kind="ok">No customer needs attention.</Flag>
          </p>
        )
        : (
          <Table
            caption="Customers who need attention, the longest first"
            columns={["Customer", "State", "For", "Since"]}
            rows={attention.map((entry) => [
              <CustomerLink id={entry.customerId} />,
              <AttentionState {...entry} />,
              <Instant at={entry.since} as="since" />,
              <Instant at={entry.since} as="clock" />,
            ])}
          />
        )}
      {all > attention.length &&
        (
          <p class="note">
            {formatCount(attention.length)} of {formatCount(all)} are listed, the longest first.
          </p>
        )}
    </>
  );
}

function AttentionState({ kind, heartRate }: Attention) {
  if (kind !== "silent") return <HeartRate bpm={heartRate} anomaly={kind} />;
  return <Flag kind="silent">silent, last {heartRate} bpm</Flag>;
}

function Figures({ readingsPerSecond: rate, delaySeconds: delay, lagRecords: lag, rollupLagSeconds }: Now) {
  const decimal = (value: number) => value < 100 ? value.toFixed(1) : formatCount(Math.round(value));
  const seconds = (value: number) => value < 60 ? `${value.toFixed(1)} s` : formatDuration(value * 1_000);
  const figures = [
    [
      "Stored",
      rate === null ? "measuring" : `${decimal(rate)} per second`,
      "readings written to the database",
    ],
    delay === null
      ? ["Delay", "unknown", "no reading in the last minute"]
      : ["Delay", seconds(delay), "from the measurement until it is stored (median)"],
    lag === null
      ? ["Lag", "unknown", "no consumer is running"]
      : ["Lag", countOf(lag, "record"), "in Kafka and not stored yet"],
    ["Rollup lag", seconds(rollupLagSeconds), "delay of the minute averages"],
  ];
  return (
    <dl>
      {figures.map(([name, value, note]) => (
        <div>
          <dt>{name}</dt>
          <dd>
            {value}
            <span class="note">{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function NoReadings() {
  return (
    <div class="empty">
      <p>No customers yet. They appear here as soon as their first reading is stored.</p>
      <p>
        To send synthetic readings, run <code>deno task produce</code> in a terminal.
      </p>
      <p>
        To send your own, publish records such as this one, with the present time, to the consumer's Kafka
        topic:
      </p>
      <pre>{EXAMPLE}</pre>
    </div>
  );
}
