import { MappingType } from "@grafana/grafana-foundation-sdk/dashboard";
import { CURRENT_LOGS, LAG_RECORDS, ROLLUP_LAG, RUNS, UNACCOUNTED } from "./ledger_sql.ts";
import { COLOUR, steps } from "./look.ts";
import { stat } from "./panels.ts";

export const NOTHING_YET = "No batch was written yet";
export const NO_END =
  "No batch was written in the last 24 hours, or no consumer asked Kafka for the end of the log";
export const ageSteps = steps(COLOUR.within, [60, COLOUR.warning], [300, COLOUR.high]);

/** This value replaces the lag during a rebuild, because the lag does not say how many minutes are still missing. */
const REBUILDING = -1;

export const latestReading = (id: number) =>
  stat({
    id,
    title: "Latest reading",
    description:
      "Age of the newest measurement that was stored. It grows while no readings come in or none are stored.",
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
      "Records in Kafka that are not stored yet. Each consumer asks Kafka for the end of the log every 5 s.",
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
      "next_offset - first_offset - stored - duplicates - rejected - gaps, over all rows of the ledger, plus the " +
      "difference between its gaps and public.ingest_gaps. Any value but 0 is a defect: `deno task reconcile` says where.",
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
      "Age of the oldest change row that waits for the rollup. The rollup writes the minute aggregates and each " +
      "customer's latest reading. A rebuild computes the newest minutes first.",
    empty: "The rollup has no row",
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
      "Consumers that wrote their status in the last 15 s. The table Consumers of the pipeline's dashboard says why a " +
      "consumer is not ready.",
    empty: "No consumer has run yet",
    sql: `
    select count(*) as "Consumers"
      from public.consumer_status
     where ${RUNS}`,
    steps: steps(COLOUR.high, [1, COLOUR.within]),
  });
