import { printable } from "../../_shared/output.ts";
import type { Ledger, LedgerLog, PipelineState } from "../view/view.ts";
import { Flag } from "./flag.tsx";
import { Instant } from "./instant.tsx";
import { type Fragments, Layout, Section } from "./layout.tsx";
import { Table } from "./table.tsx";
import { formatCount } from "../view/words.ts";

/** The cause of a gap that means a loss: Kafka deleted the records before the consumer read them. */
const DELETED = "log_start";
const COLUMNS = [
  "Partition",
  "Offsets#",
  "Stored#",
  "Duplicates#",
  "Rejected#",
  "Gaps#",
  "Unaccounted#",
  "Lag#",
  "Last write",
];

interface LedgerPageProps {
  readonly ledger: Ledger;
  readonly pipeline: PipelineState;
}

export function LedgerPage({ ledger, pipeline }: LedgerPageProps) {
  return (
    <Layout title="Ledger" page="ledger" live="/live/ledger" pipeline={pipeline}>
      <h1>Ledger</h1>
      <p class="lead">
        Was anything lost? Kafka gives each record of a partition a number, its offset. The ledger says what
        became of every offset up to the last one that was read.
      </p>
      {Object.values(ledgerFragments(ledger, pipeline))}
    </Layout>
  );
}

export function ledgerFragments(ledger: Ledger, pipeline: PipelineState): Fragments {
  return {
    unaccounted: <Verdict ledger={ledger} pipeline={pipeline} />,
    logs: (
      <Section id="logs" title="Partitions">
        {ledger.logs.length === 0
          ? <p class="empty">Nothing was read from Kafka yet.</p>
          : <Logs logs={ledger.logs} />}
        <p class="note">
          A duplicate repeats a stored reading. A gap is a range of offsets without a record: <b>control</b>
          {" "}
          (a marker of a transaction), <b>aborted</b> (its sender cancelled it), <b>compacted</b>{" "}
          (a newer record replaced it) or <b>log_start</b>{" "}
          (Kafka deleted it before it was read, so it is lost). Lag: records in Kafka that are not read yet.
          {ledger.logs.some(({ current }) => !current) &&
            " Earlier log: its partition has a new one, for example because the topic was deleted and created again."}
        </p>
      </Section>
    ),
  };
}

function Verdict({ ledger: { logs, unaccounted }, pipeline: { stands, unknownSince } }: LedgerPageProps) {
  const isComplete = unaccounted === "0";
  const gaps = logs.flatMap((log) => log.gaps);
  const deleted = sum(gaps.filter(({ cause }) => cause === DELETED).map(({ offsets }) => offsets));
  return (
    <div id="unaccounted" class={`state ${isComplete && deleted === 0n ? "ok" : "trouble"}`}>
      <p role="status">
        <Flag kind={isComplete ? "ok" : "trouble"}>
          Unaccounted: {formatCount(unaccounted)} – {isComplete
            ? "every offset is stored, a duplicate, rejected, or a gap."
            : "the ledger does not add up, so records may be lost."}
        </Flag>
        {stands && unknownSince !== null && (
          <>
            {" "}
            But nothing was read for <Instant at={unknownSince} as="since" />.
          </>
        )}
      </p>
      {!isComplete && (
        <p>
          Run <code>deno task reconcile</code>, which counts again and names what differs.
        </p>
      )}
      {deleted > 0n && (
        <p>
          <Flag kind="trouble">
            Lost: {formatCount(deleted)} – Kafka deleted these before the consumer read them.
          </Flag>{" "}
          They count as gaps. Keep records in Kafka longer than any outage.
        </p>
      )}
    </div>
  );
}

function Logs({ logs }: Pick<Ledger, "logs">) {
  const read = ({ first, next }: LedgerLog) => String(BigInt(next) - BigInt(first));
  const isLagUnknown = ({ current, lag }: LedgerLog) => current && lag === null;
  const total = (count: (log: LedgerLog) => string) => formatCount(sum(logs.map(count)));
  return (
    <Table
      caption="What became of the offsets"
      columns={COLUMNS}
      rows={logs.map((log) => [
        `${printable(log.topic)} ${log.partition}${log.current ? "" : " (earlier log)"}`,
        formatCount(read(log)),
        formatCount(log.stored),
        formatCount(log.duplicates),
        formatCount(log.rejected),
        log.gaps.length === 0
          ? "0"
          : log.gaps.map(({ cause, offsets }) => <div>{formatCount(offsets)} {printable(cause)}</div>),
        <Flag kind={log.unaccounted === "0" ? "ok" : "trouble"}>{formatCount(log.unaccounted)}</Flag>,
        isLagUnknown(log) ? "unknown" : formatCount(log.lag ?? 0),
        log.lastBatch === null ? "never" : <Instant at={log.lastBatch} as="ago" />,
      ])}
      total={[
        "Sum",
        total(read),
        ...(["stored", "duplicates", "rejected"] as const).map((name) => total((log) => log[name])),
        total(({ gaps }) => String(sum(gaps.map(({ offsets }) => offsets)))),
        total(({ unaccounted }) => unaccounted),
        logs.some(isLagUnknown) ? "unknown" : total(({ lag }) => lag ?? "0"),
        "",
      ]}
    />
  );
}

function sum(counts: readonly string[]): bigint {
  return counts.reduce((total, count) => total + BigInt(count), 0n);
}
