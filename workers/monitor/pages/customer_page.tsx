import { printable } from "../../_shared/output.ts";
import { type PipelineState, PRESETS, type Reading, SILENT_AFTER_MS } from "../view/view.ts";
import { Anomalies, type RangeProps } from "./anomalies.tsx";
import { Flag, HeartRate } from "./flag.tsx";
import { Instant, Moment } from "./instant.tsx";
import { type Fragments, Layout, Section } from "./layout.tsx";
import { RangeForm, rangeQuery } from "./range_form.tsx";
import { RejectList } from "./reject_list.tsx";
import { Unknown } from "./state.tsx";
import { formatDuration } from "../view/words.ts";

export function CustomerPage({ customer, pipeline, last }: RangeProps) {
  const { customerId: id } = customer;
  const { episodes, rejects } = customerFragments({ customer, pipeline, last });
  const live = new URLSearchParams({ id, ...(last && { last }) });
  return (
    <Layout
      title={`Customer ${id}`}
      page="customer"
      live={`/live/customer?${live}`}
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
export function customerFragments(props: RangeProps) {
  const { customerId, range, rejects, hasMoreRejects } = props.customer;
  const all = new URLSearchParams({ customer: customerId, ...rangeQuery(range) });
  return {
    episodes: (
      <Section id="episodes" title="Anomalies">
        <Anomalies {...props} />
      </Section>
    ),
    rejects: (
      <Section id="rejects" title="Rejected records of this customer">
        {rejects.length === 0
          ? <p class="empty">None arrived in this range.</p>
          : <RejectList rejects={rejects} />}
        {hasMoreRejects && <a class="button" href={`/rejects?${all}`}>All rejects of this customer</a>}
      </Section>
    ),
  } satisfies Fragments;
}

interface LatestProps {
  readonly latest: Reading | null;
  readonly pipeline: PipelineState;
}

/** The same for all ranges. While the pipeline has stopped or is late, no customer becomes silent. */
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
      <Unknown pipeline={pipeline} who="customer" />
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

/** Only the browser knows when the viewer's nights are, so its script fills their links and shows them. */
function Ranges({ customer: { customerId: id, range }, last }: Omit<RangeProps, "pipeline">) {
  const link = (preset: string) => `/customer?${new URLSearchParams({ id, last: preset })}`;
  return (
    <div class="ranges">
      <a href={link("24h")} data-night="last" hidden>last night</a>
      <a href={link("24h")} data-night="tonight" hidden>tonight</a>
      {Object.entries(PRESETS).map(([preset, { name }]) => (
        <a href={link(preset)} aria-current={preset === last ? "true" : undefined}>{name}</a>
      ))}
      <RangeForm range={range} action="/customer">
        <input type="hidden" name="id" value={id} />
      </RangeForm>
    </div>
  );
}

function Chart({ customer: { customerId: id, range, limits }, last }: Omit<RangeProps, "pipeline">) {
  const csv = new URLSearchParams({ id, ...(last ? { last } : rangeQuery(range)) });
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
