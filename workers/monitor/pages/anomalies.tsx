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
  SILENT_AFTER_MS,
} from "../view/view.ts";
import { countOf, formatDuration } from "../view/words.ts";
import { Flag } from "./flag.tsx";
import { Instant, Moment } from "./instant.tsx";
import { Table } from "./table.tsx";

const UNFOLDED_ROWS = 10;
const LISTED_SILENCES = 100;
/** A range that ends now, by the monitor's clock, may end a little later by the database's. */
const CLOCKS_DIFFER_MS = 5_000;

export interface RangeProps {
  readonly customer: Customer;
  readonly pipeline: PipelineState;
  /** The preset range, which follows the present. Undefined: the range is fixed. */
  readonly last: Preset | undefined;
}

/** Whether the customer had an anomaly in the range: the answer, then the episodes and silences that it is made of. */
export function Anomalies({ customer, pipeline, last }: RangeProps) {
  const { at, episodes, limits: { low, high } } = customer;
  const silences = listedSilences({ customer, pipeline });
  return (
    <>
      <p class="answer">
        <Answer {...{ customer, pipeline, last }} />
      </p>
      <FoldedTable
        total={`${customer.hasMoreEpisodes ? "more than " : ""}${countOf(episodes.length, "episode")}`}
        isCut={customer.hasMoreEpisodes}
        columns={["Began", "Ended", "Lasted", "Heart rate", "Readings#"]}
        rows={episodes.map((episode) => [
          <Instant at={episode.began} as="date" />,
          <Ended {...{ episode, customer, pipeline }} />,
          `${lasted(episode)}${stateOf(episode, { customer, pipeline }) === "ended" ? "" : " so far"}`,
          <Flag kind={episode.kind}>
            {episode.kind === "low" ? "lowest" : "highest"} {episode.extreme} bpm
          </Flag>,
          episode.readings,
        ])}
      />
      <FoldedTable
        total={countOf(silences.length, "silence")}
        isCut={silences.length > LISTED_SILENCES}
        columns={["No reading from", "To", "Lasted"]}
        rows={silences.slice(0, LISTED_SILENCES).map((silence) => [
          <Instant at={silence.from} as="date" />,
          silence.open ?? <Instant at={silence.to} as="date" />,
          formatDuration(silence.to - silence.from),
        ])}
      />
      <p class="note">
        {last === undefined && (
          <>
            As of <Instant at={at} as="clock" />.{" "}
          </>
        )}
        An episode is a series of readings that were beyond a limit when they arrived (now {low} and {high}
        {" "}
        bpm). Began, Ended and Lasted: from the first to the last of them. It ends at a reading within the
        limits, or when no reading arrives for 5 minutes, which is a silence.
      </p>
    </>
  );
}

interface FoldedTableProps {
  /** Such as "217 silences". */
  readonly total: string;
  /** Whether `rows` has only the newest. */
  readonly isCut: boolean;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Child[])[];
}

/** A long table is folded, so that the chart is near. Nothing without rows. */
function FoldedTable({ total, isCut, columns, rows }: FoldedTableProps) {
  if (rows.length === 0) return null;
  const summary = isCut
    ? `The newest ${rows.length} of ${total}`
    : rows.length === 1
    ? total
    : `${total}, the newest first`;
  return (
    <details open={rows.length <= UNFOLDED_ROWS}>
      <summary>{summary}</summary>
      <Table caption={summary} columns={columns} rows={rows} />
    </details>
  );
}

type Known = Pick<RangeProps, "customer" | "pipeline">;

/** While the pipeline has stopped or is late, no silence begins or grows. */
function listedSilences({ customer: { at, silences }, pipeline: { unknownSince } }: Known) {
  const state = unknownSince === null ? "goes on" : "unknown";
  return silences
    .map(({ from, to }) => ({
      from,
      to: Math.min(to, unknownSince ?? at),
      open: to === at ? state : undefined,
    }))
    .filter(({ from, to }) => to - from > SILENT_AFTER_MS);
}

/** Unknown: the last reading is 1 to 5 min old, or later readings may wait in Kafka. */
function stateOf(
  { ended }: Episode,
  { customer: { at, latest }, pipeline: { unknownSince } }: Known,
): "ended" | "ongoing" | "unknown" {
  if (ended !== latest?.ts || (unknownSince ?? at) - ended > SILENT_AFTER_MS) return "ended";
  return unknownSince === null && at - ended <= RECENT_MS ? "ongoing" : "unknown";
}

function Ended({ episode, ...known }: Known & { readonly episode: Episode }) {
  const state = stateOf(episode, known);
  if (state === "ended") return <Instant at={episode.ended} as="date" />;
  if (state === "ongoing") return <>ongoing</>;
  return (
    <>
      unknown: no reading since <Moment at={episode.ended} now={known.customer.at} />
    </>
  );
}

/** With a silence in the range, or a part that is not known yet, nothing may look like an all-clear. */
function Answer({ customer, pipeline, last }: RangeProps) {
  const { at, readings, range, episodes, silences } = customer;
  const during = last === undefined ? <FromTo {...range} /> : <>in the {PRESETS[last].name}</>;
  if (readings === 0) return <>No reading {during}, so it is unknown whether there was an anomaly.</>;
  if (episodes.length > 0) {
    return (
      <>
        {customer.hasMoreEpisodes && "More than "}
        {countOf(episodes.length, "episode")} {during}: {summarize({ customer, pipeline })}.
        {silences.length > 0 && (
          <>
            {" "}But <Silences {...customer} />.
          </>
        )}
      </>
    );
  }
  const [none, count] = [<>No anomaly {during}</>, countOf(readings, "reading")];
  if (silences.length > 0) {
    return (
      <>
        {none} ({count}). But <Silences {...customer} />.
      </>
    );
  }
  const isKnown = range.to <= (pipeline.unknownSince ?? at + CLOCKS_DIFFER_MS);
  return isKnown ? <Flag kind="ok">{none} ({count}).</Flag> : <>{none} so far ({count}).</>;
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
function summarize(known: Known): string {
  const { range, episodes, hasMoreEpisodes } = known.customer;
  const longest = episodes.reduce((a, b) => b.ended - b.began > a.ended - a.began ? b : a);
  const extremes = (kind: Episode["kind"]) =>
    episodes.filter((each) => each.kind === kind).map((each) => each.extreme);
  const [lows, highs] = [extremes("low"), extremes("high")];
  const states = new Set(episodes.map((episode) => stateOf(episode, known)));
  const isCut = (episode: Episode) =>
    episode.began < range.from || episode.ended >= range.to && stateOf(episode, known) === "ended";
  const [the, one] = episodes.length > 1 ? ["longest ", "one"] : ["", "it"];
  const facts = [
    `${the}${lasted(longest)}`,
    highs.length > 0 && `highest ${Math.max(...highs)} bpm`,
    lows.length > 0 && `lowest ${Math.min(...lows)} bpm`,
    states.has("ongoing") && `${one} is ongoing`,
    states.has("unknown") && `${one} may go on`,
    episodes.some(isCut) && `${one} reaches beyond this range`,
  ];
  return `${hasMoreEpisodes ? "of the newest ones, " : ""}${facts.filter(Boolean).join(", ")}`;
}
