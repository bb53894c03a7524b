/** Folder `pages`: the pages as HTML, whole and in fragments for the live streams. They show results of queries. */
import type { Child } from "hono/jsx";
import { printable } from "../../_shared/output.ts";
import {
  type Customer,
  type Episode,
  type PipelineState,
  type Preset,
  PRESETS,
  type Reading,
  SILENT_AFTER_MS,
} from "../view/view.ts";
import { Flag, HeartRate } from "./flag.tsx";
import { Instant, Moment } from "./instant.tsx";
import { type Fragments, Layout, Section } from "./layout.tsx";
import { RangeForm, rangeQuery } from "./range_form.tsx";
import { RejectList } from "./reject_list.tsx";
import { Unknown } from "./state.tsx";
import { Table } from "./table.tsx";
import { countOf, formatDuration } from "../view/words.ts";

const UNFOLDED_EPISODES = 10;

interface RangeProps {
  readonly customer: Customer;
  /** The preset range, which follows the present. Undefined: the range is fixed. */
  readonly last: Preset | undefined;
}

interface CustomerPageProps extends RangeProps {
  readonly pipeline: PipelineState;
}

export function CustomerPage({ customer, pipeline, last }: CustomerPageProps) {
  const { customerId: id } = customer;
  const { episodes, rejects } = customerFragments(customer);
  const live = new URLSearchParams({ id, ...(last && { last }) });
  return (
    <Layout
      title={`Customer ${id}`}
      page="customer"
      live={`/live/customer?${live}`}
      customerId={id}
      pipeline={pipeline}
    >
      <h1>
        Customer <span class="id">{printable(id)}</span>
      </h1>
      <Latest latest={customer.latest} pipeline={pipeline} />
      <Ranges customer={customer} last={last} />
      {episodes}
      <Chart customer={customer} last={last} />
      {rejects}
    </Layout>
  );
}

/** What depends on the range. */
export function customerFragments(customer: Customer) {
  const { rejects } = customer;
  return {
    episodes: (
      <Section id="episodes" title="Anomalies">
        <Episodes {...customer} />
      </Section>
    ),
    rejects: (
      <Section id="rejects" title="Rejected records of this customer">
        {rejects.length === 0
          ? <p class="empty">None arrived in this range.</p>
          : <RejectList rejects={rejects} />}
      </Section>
    ),
  } satisfies Fragments;
}

interface LatestProps {
  readonly latest: Reading | null;
  readonly pipeline: PipelineState;
}

/** The same for all ranges. While the pipeline stands or is late, nobody becomes silent. */
export function Latest({ latest, pipeline }: LatestProps) {
  if (latest === null) {
    return (
      <p id="latest" class="latest">
        No reading of this customer is stored. Check the id: capital and small letters differ.
      </p>
    );
  }
  const { at, unknownSince } = pipeline;
  const silentMs = (unknownSince ?? at) - latest.ts;
  const silence = unknownSince === null ? <Instant at={latest.ts} as="since" /> : formatDuration(silentMs);
  return (
    <p id="latest" class="latest">
      <Unknown pipeline={pipeline} who="patient" />
      {silentMs >= SILENT_AFTER_MS && (
        <Flag kind="silent">
          silent for {silence}, since <Moment at={latest.ts} now={at} />
        </Flag>
      )} <HeartRate {...latest} />{" "}
      <span class="note">
        latest reading, <Instant at={latest.ts} as="ago" />
      </span>
    </p>
  );
}

/** Only the browser knows when the viewer's last night was, so its script fills that link and shows it. */
function Ranges({ customer: { customerId: id, range }, last }: RangeProps) {
  const link = (preset: string) => `/customer?${new URLSearchParams({ id, last: preset })}`;
  return (
    <div class="ranges">
      <a href={link("24h")} data-last-night hidden>last night</a>
      {Object.entries(PRESETS).map(([preset, { name }]) => (
        <a href={link(preset)} aria-current={preset === last ? "true" : undefined}>{name}</a>
      ))}
      <RangeForm range={range} action="/customer">
        <input type="hidden" name="id" value={id} />
      </RangeForm>
    </div>
  );
}

function Chart({ customer: { customerId: id, range, limits }, last }: RangeProps) {
  const csv = new URLSearchParams({ id, ...rangeQuery(range) });
  const data = {
    "data-id": id,
    "data-from": range.from,
    "data-to": range.to,
    "data-limits": JSON.stringify(limits),
  };
  return (
    <Section id="curve" title="Heart rate">
      <div id="chart" {...data} data-live-tail={last}>
        <p>Loading the chart. It needs JavaScript.</p>
      </div>
      <p class="note">
        Dashed: the limits, {limits.low} and {limits.high} bpm. A shaded break in the line: no readings.
      </p>
      <a class="button" href={`/customer.csv?${csv}`}>Download this range as CSV</a>
    </Section>
  );
}

/** Without readings in all parts of the range, nothing may look like an all-clear. */
function Answer(customer: Customer) {
  const { episodes, coverage: { readings }, limits: { low, high } } = customer;
  if (readings === 0) return <>No reading in this range, so it is unknown whether there was an anomaly.</>;
  const gap = gapOf(customer);
  if (episodes.length > 0) return <>{summarize(episodes)}{gap && <>{" "}But {gap}.</>}</>;
  return gap === undefined
    ? <Flag kind="ok">No anomaly in this range: no reading is below {low} or above {high} bpm.</Flag>
    : <>No anomaly in the {countOf(readings, "reading")}; {gap}.</>;
}

/** @returns which part of the range has no readings, or undefined if none is longer than the silence that ends an episode */
function gapOf({ at, range, latest, coverage: { first, last, gapMs } }: Customer): Child | undefined {
  if (first === null || last === null) return undefined;
  const afterMs = Math.min(range.to, at) - last;
  // A past range can end before the readings go on.
  if (afterMs > SILENT_AFTER_MS && latest?.ts === last) {
    return (
      <>
        no reading since <Moment at={last} now={at} />
      </>
    );
  }
  const longest = Math.max(first - range.from, gapMs ?? 0, afterMs);
  return longest > SILENT_AFTER_MS ? `no reading for ${formatDuration(longest)} of this range` : undefined;
}

function Episodes(customer: Customer) {
  const { episodes, limits: { low, high } } = customer;
  return (
    <>
      <p class="answer">
        <Answer {...customer} />
      </p>
      {episodes.length > 0 && (
        // A long list is folded, so that the chart is near.
        <details open={episodes.length <= UNFOLDED_EPISODES}>
          <summary>{countOf(episodes.length, "episode")}, the newest first</summary>
          <Table
            caption="Episodes of anomalies, the newest first"
            columns={["Began", "Ended", "Lasted", "Heart rate", "Readings#"]}
            rows={episodes.map((episode) => [
              <Instant at={episode.began} as="date" />,
              episode.open ? "ongoing" : <Instant at={episode.ended} as="date" />,
              `${lasted(episode)}${episode.open ? " so far" : ""}`,
              <Flag kind={episode.kind}>
                {episode.kind === "low" ? "lowest" : "highest"} {episode.extreme} bpm
              </Flag>,
              episode.readings,
            ])}
          />
        </details>
      )}
      <p class="note">
        An episode is a series of readings below {low} or above {high}{" "}
        bpm. Began, Ended and Lasted: from the first to the last reading beyond the limit. A reading within
        the limits, or 5 minutes without one, separates two episodes.
      </p>
    </>
  );
}

function lasted({ began, ended }: Episode): string {
  return began === ended ? "a single reading" : formatDuration(ended - began);
}

/** @returns such as "2 episodes in this range: longest 12 min 4 s, highest 196 bpm." */
function summarize(episodes: readonly Episode[]): string {
  const longest = episodes.reduce((a, b) => b.ended - b.began > a.ended - a.began ? b : a);
  const extremes = (kind: Episode["kind"]) =>
    episodes.filter((each) => each.kind === kind).map((each) => each.extreme);
  const [lows, highs] = [extremes("low"), extremes("high")];
  const facts = [
    `${episodes.length > 1 ? "longest " : ""}${lasted(longest)}`,
    highs.length > 0 && `highest ${Math.max(...highs)} bpm`,
    lows.length > 0 && `lowest ${Math.min(...lows)} bpm`,
    episodes.some(({ open }) => open) && "one is ongoing",
  ];
  return `${countOf(episodes.length, "episode")} in this range: ${facts.filter(Boolean).join(", ")}.`;
}
