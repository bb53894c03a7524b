/** Folder `pages`: the pages as HTML, whole and in fragments for the live streams. They show results of queries. */
import { printable } from "../../_shared/output.ts";
import { type Customer, type Episode, type Preset, PRESETS } from "../view/view.ts";
import { Flag, HeartRate } from "./flag.tsx";
import { Instant } from "./instant.tsx";
import { CustomerLink, type Fragments, Layout, Section } from "./layout.tsx";
import { RangeForm, rangeQuery } from "./range_form.tsx";
import { RejectList } from "./reject_list.tsx";
import { Table } from "./table.tsx";
import { countOf, formatDuration } from "../view/words.ts";

interface CustomerPageProps {
  readonly customer: Customer;
  /** The preset range, which follows the present. Undefined: the range is fixed. */
  readonly last: Preset | undefined;
  /** If the customer has no reading: ids that begin with the same characters. */
  readonly similar?: readonly string[];
}

export function CustomerPage({ customer, last, similar = [] }: CustomerPageProps) {
  const { customerId: id } = customer;
  const { latest, episodes, rejects } = customerFragments(customer);
  const live = new URLSearchParams({ id, ...(last === undefined ? rangeQuery(customer.range) : { last }) });
  return (
    <Layout title={`Customer ${id}`} page="customer" live={`/live/customer?${live}`} customerId={id}>
      <h1>
        Customer <span class="id">{printable(id)}</span>
      </h1>
      {latest}
      {similar.length > 0 && (
        <Section id="similar" title="Customers whose id begins with these characters">
          <ul>
            {similar.map((other) => (
              <li>
                <CustomerLink id={other} />
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Ranges customer={customer} last={last} />
      {episodes}
      <Chart customer={customer} last={last} />
      {rejects}
    </Layout>
  );
}

export function customerFragments(customer: Customer) {
  const { latest, rejects } = customer;
  return {
    latest: (
      <p id="latest" class="latest">
        {latest === null
          ? "No reading of this customer is stored. Check the id: capital and small letters differ."
          : (
            <>
              <HeartRate {...latest} />{" "}
              <span class="note">
                latest reading, <Instant at={latest.ts} as="ago" />
              </span>
            </>
          )}
      </p>
    ),
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

/** Only the browser knows when the viewer's last night was, so its script fills that link and shows it. */
function Ranges({ customer: { customerId: id, range }, last }: CustomerPageProps) {
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

function Chart({ customer: { customerId: id, range, limits }, last }: CustomerPageProps) {
  const csv = new URLSearchParams({ id, ...rangeQuery(range) });
  const data = {
    "data-id": id,
    "data-from": range.from,
    "data-to": range.to,
    "data-limits": JSON.stringify(limits),
  };
  return (
    <Section id="curve" title="Heart rate">
      <div id="chart" {...data} data-live-tail={last && "true"}>
        <p>Loading the chart. It needs JavaScript.</p>
      </div>
      <p class="note">
        Dashed: the limits, {limits.low} and {limits.high} bpm. A break in the line: no readings.
      </p>
      <a class="button" href={`/customer.csv?${csv}`} download>Download this range as CSV</a>
    </Section>
  );
}

/** Without a reading, nothing may look like an all-clear. */
function NoEpisode({ hasReadings, limits: { low, high } }: Customer) {
  return hasReadings
    ? <Flag kind="ok">No anomaly in this range: no reading is below {low} or above {high} bpm.</Flag>
    : <>No reading in this range, so it is unknown whether there was an anomaly.</>;
}

function Episodes(customer: Customer) {
  const { episodes, limits: { low, high } } = customer;
  return (
    <>
      <p class="answer">{episodes.length === 0 ? <NoEpisode {...customer} /> : summarize(episodes)}</p>
      {episodes.length > 0 && (
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
      )}
      <p class="note">
        An episode is a series of readings below {low} or above {high}{" "}
        bpm. It ends with the first reading within the limits, or when no reading comes for 5 minutes.
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
