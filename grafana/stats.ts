/** Stats that more than one dashboard has. */
import { MappingType } from "@grafana/grafana-foundation-sdk/dashboard";
import { CURRENT_LOGS, LAG_RECORDS, ROLLUP_LAG, RUNS, UNACCOUNTED } from "./ledger_sql.ts";
import { COLOUR, steps } from "./look.ts";
import { stat } from "./panels.ts";

export const NOTHING_YET = "Nothing was ingested yet";
/** Shown where the end of a log is not known. */
export const NO_END = "Nothing was ingested in the last 24 hours, or no consumer has asked Kafka";
export const ageSteps = steps(COLOUR.within, [60, COLOUR.warning], [300, COLOUR.high]);

/** In place of seconds, since in a rebuild the lag does not tell which minutes are still missing. */
const REBUILDING = -1;

export const latestReading = (id: number) =>
  stat({
    id,
    title: "Latest reading",
    description:
      "Age of the latest measurement that was stored. It grows when no readings come in or the pipeline stands.",
    empty: NOTHING_YET,
    sql: `
    select greatest(extract(epoch from now() - max(last_event_ts)), 0) as "Age"
      from public.ingest_offsets`,
    steps: ageSteps,
  }).unit("s").decimals(0);

export const lag = (id: number) =>
  stat({
    id,
    title: "Lag",
    description:
      "Records in Kafka that are not stored, as of the last time that a consumer asked Kafka, which it does every 5 s.",
    empty: NO_END,
    sql: `
    select sum(${LAG_RECORDS}) as "Lag"
      from (${CURRENT_LOGS}) log`,
    steps: steps(COLOUR.within, [10_000, COLOUR.warning], [100_000, COLOUR.high]),
  }).unit("short");

export const unaccounted = (id: number) =>
  stat({
    id,
    title: "Unaccounted",
    description:
      "next_offset - first_offset - stored - duplicates - rejected - gaps, of every log, and the gaps recounted from " +
      "their table. Anything but 0 is a defect; `deno task reconcile` says where.",
    empty: NOTHING_YET,
    sql: `
    select (${UNACCOUNTED}) as "Unaccounted"`,
    steps: steps(COLOUR.within, [1, COLOUR.high]),
  });

export const rollupLag = (id: number) =>
  stat({
    id,
    title: "Rollup lag",
    description:
      "How old the first change is that the minutes and the customers' latest readings do not have yet. While they " +
      "are rebuilt from the rows, the newest are right first.",
    empty: "There is no rollup",
    sql: `
    select case when cursor is null then (${ROLLUP_LAG}) else ${REBUILDING} end as "Lag"
      from public.rollup`,
    steps: steps(COLOUR.within, [15, COLOUR.warning], [60, COLOUR.high]),
  }).unit("s").decimals(1).mappings([{
    type: MappingType.ValueToText,
    options: { [REBUILDING]: { text: "rebuilding", color: COLOUR.warning, index: 0 } },
  }]);

export const consumersRunning = (id: number) =>
  stat({
    id,
    title: "Consumers",
    description:
      "Consumers that said within the last 15 s that they run. Why one is not ready says the table " +
      "Consumers of the pipeline's dashboard.",
    empty: "No consumer has run yet",
    sql: `
    select count(*) as "Consumers"
      from public.consumer_status
     where ${RUNS}`,
    steps: steps(COLOUR.high, [1, COLOUR.within]),
  });
