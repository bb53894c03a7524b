import { printable } from "../../_shared/output.ts";
import type { PipelineState, RejectFilter, Rejects } from "../view/view.ts";
import { Layout, Section } from "./layout.tsx";
import { RangeForm, rangeQuery } from "./range_form.tsx";
import { RejectList } from "./reject_list.tsx";
import { explainReason, EXPLANATIONS } from "./reject_reasons.ts";
import { Table } from "./table.tsx";
import { formatCount, formatDuration } from "../view/words.ts";

const NONE_LISTED = "No rejected record. Choose a longer range or fewer filters to see others.";

interface RejectsPageProps {
  readonly rejects: Rejects;
  readonly pipeline: PipelineState;
  /** False if new rejects would not belong to the list: it has a filter or a fixed range. */
  readonly live: boolean;
}

export function RejectsPage({ rejects, pipeline, live }: RejectsPageProps) {
  const { at, filter, next } = rejects;
  return (
    <Layout
      title="Rejects"
      page="rejects"
      pipeline={pipeline}
      {...(live ? { live: "/live/rejects" } : { asOf: at })}
    >
      <h1>Rejects</h1>
      <p class="lead">
        A reject is a record from Kafka that is not a valid reading. It is kept with the reason, so no record
        disappears. Those of the <code>scenarios</code>{" "}
        task (their keys begin with "scenario-") are left out, unless you filter by a customer.
      </p>
      {filter.record === undefined ? <Choice {...rejects} live={live} /> : (
        <p>
          <a class="button" href="/rejects">All rejects</a>
        </p>
      )}
      <Section
        id="rejects"
        title={filter.record === undefined ? "Rejected records, the newest first" : "Rejected record"}
      >
        {live && <a class="button" href="/rejects" data-rejected={rejects.rejected} hidden>new rejects</a>}
        {rejects.rejects.length === 0
          ? (
            <p class="empty">
              {filter.record === undefined ? NONE_LISTED : "There is no reject with this address."}
            </p>
          )
          : <RejectList {...rejects} />}
        {next !== undefined && (
          <a class="button" href={pageLink({ ...filter, before: next }, live)}>Earlier rejects</a>
        )}
      </Section>
    </Layout>
  );
}

/** The filters, and how many records each reason has. */
function Choice({ filter, live, overTime: { stepMs, reasons } }: Rejects & { readonly live: boolean }) {
  const step = formatDuration(stepMs);
  // A consumer of another version may know more reasons.
  const names = new Set([...Object.keys(EXPLANATIONS), filter.reason].filter((name) => name !== undefined));
  return (
    <>
      <RangeForm range={filter.range} action="/rejects">
        <label>
          Reason{" "}
          <select name="reason">
            <option value="">all reasons</option>
            {[...names].map((name) => <option selected={name === filter.reason}>{name}</option>)}
          </select>
        </label>
        <label>
          Customer <input name="customer" value={filter.customerId} placeholder="id" autocomplete="off" />
        </label>
      </RangeForm>
      <Section id="reasons" title="By reason">
        {reasons.length === 0 ? <p class="empty">{noneOf(filter)}</p> : (
          <Table
            caption="Number of rejected records by reason"
            columns={["Reason", "Meaning", "Records#", `Over time (one bar: ${step})`]}
            rows={reasons.map(({ reason, total, counts }) => [
              <a class="reason" href={pageLink({ ...filter, reason, before: undefined }, live)}>
                {printable(reason)}
              </a>,
              explainReason(reason),
              formatCount(total),
              <Bars counts={counts} step={step} />,
            ])}
          />
        )}
      </Section>
    </>
  );
}

function noneOf({ reason, customerId }: RejectFilter): string {
  return reason === undefined && customerId === undefined
    ? "No record was rejected in this range."
    : "No record that was rejected in this range matches the filters.";
}

function Bars({ counts, step }: { readonly counts: readonly number[]; readonly step: string }) {
  const most = Math.max(...counts, 1);
  const width = 100 / counts.length;
  return (
    <svg class="bars" role="img" aria-label={`at most ${formatCount(most)} in ${step}`}>
      {counts.map((count, place) => {
        const percent = count === 0 ? 0 : Math.max(count / most * 100, 8);
        const size = { width: `${(width * 0.85).toFixed(2)}%`, height: `${percent.toFixed(1)}%` };
        return <rect x={`${(place * width).toFixed(2)}%`} y={`${(100 - percent).toFixed(1)}%`} {...size} />;
      })}
      <line x1="0" x2="100%" y1="100%" y2="100%" />
    </svg>
  );
}

/** The link of a live page does not fix the range. */
function pageLink({ reason, customerId, range, before }: RejectFilter, live: boolean): string {
  const query = new URLSearchParams(live ? {} : rangeQuery(range));
  const optional = { reason, customer: customerId, before };
  for (const [name, value] of Object.entries(optional)) if (value !== undefined) query.set(name, value);
  return `/rejects?${query}`;
}
