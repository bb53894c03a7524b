import { type Attention, LATELY_ROWS, type Now, PRESETS, type Range, RECENT_MS } from "../view/view.ts";
import { Distribution } from "./distribution.tsx";
import { Flag, HeartRate } from "./flag.tsx";
import { Instant, Moment } from "./instant.tsx";
import { CustomerLink, type Fragments, Layout, Section } from "./layout.tsx";
import { Unknown } from "./state.tsx";
import { Table } from "./table.tsx";
import { countOf, formatCount, formatDuration } from "../view/words.ts";

const EXAMPLE = `{"customer_id": "c-0017", "timestamp": "2026-07-14T09:30:00Z", "heart_rate": 72}`;

export function NowPage({ now }: { readonly now: Now }) {
  return (
    <Layout title="Now" page="now" live="/live/now" pipeline={now}>
      <h1>Now</h1>
      {Object.values(nowFragments(now))}
    </Layout>
  );
}

export function nowFragments(now: Now): Fragments {
  return {
    attention: (
      <Section id="attention" title="Who needs attention">
        {now.hasStored ? <AttentionList {...now} /> : <NoReadings />}
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

function AttentionList(now: Now) {
  const { unknownSince, attention, customers } = now;
  const all = customers.low + customers.high + customers.silent;
  const listed = attention.filter(({ lately }) => lately === undefined).length;
  return (
    <>
      <p class="answer">
        <Unknown pipeline={now} who="customers" />
      </p>
      <Counts {...now} />
      {attention.length === 0 ? <NoneListed {...now} /> : (
        <Table
          caption="Customers who need attention: beyond a limit, then silent, then lately beyond a limit"
          columns={["Customer", "State", "For", "Since"]}
          rows={attention.map((entry) => [
            <CustomerLink id={entry.customerId} range={lastHourOf(entry)} />,
            <AttentionState entry={entry} at={now.at} />,
            forHowLong(entry, unknownSince),
            <Moment at={entry.since} now={now.at} />,
          ])}
        />
      )}
      {all > listed && (
        <p class="note">
          {formatCount(listed)} of {formatCount(all)}{" "}
          are listed: those beyond a limit before the silent ones, the longest first.
        </p>
      )}
      {listed < attention.length && (
        <p class="note">
          "Was low" and "was high": three or more readings beyond a limit in the last 10 minutes. The word
          names the more frequent kind. At most {LATELY_ROWS} customers, those with the most readings first.
        </p>
      )}
      <LongSilent {...now} />
    </>
  );
}

/** While a customer is silent for long, or the list may lack one, nothing may look like an all-clear. */
function NoneListed({ unknownSince, customers, longSilent, problems }: Now) {
  const text = unknownSince !== null
    ? "No customer needed attention."
    : customers.reporting === 0
    ? "No customer is reporting."
    : "No customer needs attention.";
  const isClear = problems.length === 0 && customers.reporting > 0 && longSilent?.customers === 0;
  return <p class="answer">{isClear ? <Flag kind="ok">{text}</Flag> : text}</p>;
}

function LongSilent({ longSilent }: Now) {
  if (longSilent === null) {
    return <p class="note">Customers silent for more than a day could not be counted.</p>;
  }
  const { customers, newest } = longSilent;
  if (customers === 0) return null;
  return (
    <p class="note">
      Silent for more than a day: {countOf(customers, "customer")}. Most recently heard from:
      {newest.map((id) => [" ", <CustomerLink id={id} />])}
    </p>
  );
}

function Counts({ customers, limits }: Now) {
  return (
    <ul class="counts">
      <li>
        <strong>{formatCount(customers.high)}</strong> <Flag kind="high" /> above {limits.high} bpm
      </li>
      <li>
        <strong>{formatCount(customers.low)}</strong> <Flag kind="low" /> below {limits.low} bpm
      </li>
      <li>
        <strong>{formatCount(customers.silent)}</strong> <Flag kind="silent" /> no reading for 5 min
      </li>
      <li>
        <strong>{formatCount(customers.reporting)}</strong> reporting
      </li>
    </ul>
  );
}

/** For how long, as far as the readings tell. A silence goes on only while the pipeline does. */
function forHowLong({ kind, since, latestAt = since, lately }: Attention, unknownSince: number | null) {
  if (lately !== undefined) return `${countOf(lately, "reading")} in 10 min`;
  if (kind !== "silent") return latestAt === since ? "a single reading" : formatDuration(latestAt - since);
  return unknownSince === null ? <Instant at={since} as="since" /> : formatDuration(unknownSince - since);
}

/** The hours since a silence began have nothing to show. */
function lastHourOf({ kind, since }: Attention): Range | undefined {
  const to = Math.floor(since) + 1_000;
  return kind === "silent" ? { from: to - PRESETS["1h"].ms, to } : undefined;
}

function AttentionState({ entry, at }: { readonly entry: Attention; readonly at: number }) {
  const { kind, heartRate: bpm, latestAt = at, lately } = entry;
  if (kind === "silent") return <Flag kind="silent">silent, last {bpm} bpm</Flag>;
  if (lately !== undefined) {
    return (
      <Flag kind={kind}>
        was {kind}, {kind === "low" ? "lowest" : "highest"} {bpm} bpm
      </Flag>
    );
  }
  return (
    <>
      <HeartRate bpm={bpm} anomaly={kind} /> {at - latestAt > RECENT_MS && (
        <span class="note">
          <Instant at={latestAt} as="ago" />
        </span>
      )}
    </>
  );
}

function Figures({ readingsPerSecond: rate, delayMs, lagRecords: lag, rollupLagSeconds }: Now) {
  const decimal = (value: number) => value < 100 ? value.toFixed(1) : formatCount(Math.round(value));
  const seconds = (ms: number) => ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : formatDuration(ms);
  const figures = [
    [
      "Stored",
      rate === null ? "measuring" : `${decimal(rate)} per second`,
      "readings written to the database",
    ],
    delayMs === null
      ? ["Delay", "unknown", "no new measurement was stored lately"]
      : delayMs < 0
      ? ["Delay", "clock ahead", `most measurements are ${seconds(-delayMs)} later than the database's clock`]
      : ["Delay", seconds(delayMs), "from a measurement until it is stored (median of the last ones)"],
    lag === null
      ? ["Lag", "unknown", "no consumer reports it"]
      : ["Lag", countOf(lag, "record"), "in Kafka and not stored yet"],
    ["Rollup lag", seconds(rollupLagSeconds * 1_000), "delay of the minute averages"],
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
