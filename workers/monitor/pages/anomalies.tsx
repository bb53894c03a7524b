/** Folder `pages`: the pages as HTML, whole and in fragments for the live streams. They show results of queries. */
import type { Child } from "hono/jsx";
import {
  type Customer,
  type Episode,
  type PipelineState,
  type Preset,
  PRESETS,
  type Range,
  RECENT_MS,
} from "../view/view.ts";
import { countOf, formatDuration } from "../view/words.ts";
import { Flag } from "./flag.tsx";
import { Instant, Moment } from "./instant.tsx";
import { Table } from "./table.tsx";

const UNFOLDED_ROWS = 10;
const LISTED_SILENCES = 100;

export interface RangeProps {
  readonly customer: Customer;
  readonly pipeline: PipelineState;
  /** The preset range, which follows the present. Undefined: the range is fixed. */
  readonly last: Preset | undefined;
}

/** Whether the customer had an anomaly in the range: the answer, then the episodes and silences that it is made of. */
export function Anomalies({ customer, pipeline, last }: RangeProps) {
  const { at, episodes, limits: { low, high } } = customer;
  // While the pipeline has stopped or is late, no customer becomes silent.
  const silences = customer.silences.filter(({ to }) => to !== at || pipeline.unknownSince === null);
  return (
    <>
      <p class="answer">
        <Answer customer={customer} last={last} />
      </p>
      <FoldedTable
        total={episodes.length}
        noun="episode"
        columns={["Began", "Ended", "Lasted", "Heart rate", "Readings#"]}
        rows={episodes.map((episode) => [
          <Instant at={episode.began} as="date" />,
          episode.open ? <GoesOn at={at} ended={episode.ended} /> : <Instant at={episode.ended} as="date" />,
          `${lasted(episode)}${episode.open ? " so far" : ""}`,
          <Flag kind={episode.kind}>
            {episode.kind === "low" ? "lowest" : "highest"} {episode.extreme} bpm
          </Flag>,
          episode.readings,
        ])}
      />
      <FoldedTable
        total={silences.length}
        noun="silence"
        columns={["No reading from", "To", "Lasted"]}
        rows={silences.slice(0, LISTED_SILENCES).map((silence) => [
          <Instant at={silence.from} as="date" />,
          silence.to === at ? "goes on" : <Instant at={silence.to} as="date" />,
          formatDuration(silence.to - silence.from),
        ])}
      />
      <p class="note">
        An episode is a series of readings below {low} or above {high}{" "}
        bpm. Began, Ended and Lasted: from the first to the last reading beyond the limit. An episode ends at
        a reading within the limits, or when no reading arrives for 5 minutes, which is a silence.
      </p>
    </>
  );
}

interface FoldedTableProps {
  /** The newest have a row. */
  readonly total: number;
  readonly noun: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Child[])[];
}

/** A long table is folded, so that the chart is near. Nothing without rows. */
function FoldedTable({ total, noun, columns, rows }: FoldedTableProps) {
  if (rows.length === 0) return null;
  const order = total === 1 ? "" : `, the newest ${rows.length < total ? rows.length : "first"}`;
  const summary = countOf(total, noun) + order;
  return (
    <details open={rows.length <= UNFOLDED_ROWS}>
      <summary>{summary}</summary>
      <Table caption={summary} columns={columns} rows={rows} />
    </details>
  );
}

/** An episode that has not ended. After a while without a reading, nobody knows whether it goes on. */
function GoesOn({ at, ended }: { readonly at: number; readonly ended: number }) {
  if (at - ended <= RECENT_MS) return <>ongoing</>;
  return (
    <>
      unknown: no reading since <Moment at={ended} now={at} />
    </>
  );
}

/** With a silence in the range, nothing may look like an all-clear. */
function Answer({ customer, last }: Omit<RangeProps, "pipeline">) {
  const { readings, range, episodes, silences, limits: { low, high } } = customer;
  const during = last === undefined ? <FromTo {...range} /> : <>in the {PRESETS[last].name}</>;
  if (readings === 0) return <>No reading {during}, so it is unknown whether there was an anomaly.</>;
  if (episodes.length > 0) {
    return (
      <>
        {customer.hasMoreEpisodes && "More than "}
        {countOf(episodes.length, "episode")} {during}: {summarize(customer)}.
        {silences.length > 0 && (
          <>
            {" "}But <Silences {...customer} />.
          </>
        )}
      </>
    );
  }
  if (silences.length === 0) {
    return <Flag kind="ok">No anomaly {during}: no reading is below {low} or above {high} bpm.</Flag>;
  }
  return (
    <>
      No anomaly {during} ({countOf(readings, "reading")}). But <Silences {...customer} />.
    </>
  );
}

function FromTo({ from, to }: Range) {
  return (
    <>
      from <Instant at={from} as="date" /> to <Instant at={to} as="date" />
    </>
  );
}

/** Such as "no reading since 14:03:22, and none for 25 min before" or "no reading for 59 min, in 2 silences". */
function Silences({ at, silences }: Customer) {
  const [newest, ...others] = silences;
  const goesOn = newest?.to === at;
  const past = goesOn ? others : silences;
  const pastMs = past.reduce((sum, { from, to }) => sum + to - from, 0);
  const count = past.length > 1 && `, in ${past.length} silences`;
  if (newest === undefined || !goesOn) return <>no reading for {formatDuration(pastMs)}{count}</>;
  return (
    <>
      no reading since <Moment at={newest.from} now={at} />
      {past.length > 0 && <>, and none for {formatDuration(pastMs)} before{count}</>}
    </>
  );
}

function lasted({ began, ended }: Episode): string {
  return began === ended ? "a single reading" : formatDuration(ended - began);
}

/** @returns such as "longest 12 min 4 s, highest 196 bpm, one is ongoing" */
function summarize({ at, episodes, hasMoreEpisodes }: Customer): string {
  const longest = episodes.reduce((a, b) => b.ended - b.began > a.ended - a.began ? b : a);
  const extremes = (kind: Episode["kind"]) =>
    episodes.filter((each) => each.kind === kind).map((each) => each.extreme);
  const [lows, highs] = [extremes("low"), extremes("high")];
  const open = episodes.find(({ open }) => open);
  const which = episodes.length > 1 ? "one" : "it";
  const facts = [
    `${episodes.length > 1 ? "longest " : ""}${lasted(longest)}`,
    highs.length > 0 && `highest ${Math.max(...highs)} bpm`,
    lows.length > 0 && `lowest ${Math.min(...lows)} bpm`,
    open && `${which} ${at - open.ended <= RECENT_MS ? "is ongoing" : "may go on"}`,
  ];
  return `${hasMoreEpisodes ? "of the newest ones, " : ""}${facts.filter(Boolean).join(", ")}`;
}
