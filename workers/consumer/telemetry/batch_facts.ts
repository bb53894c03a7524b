/**
 * Folder `telemetry`: one function for each fact about the consumer, which writes the log line and updates metrics and health.
 * It decides nothing and never throws. This file: facts about a batch.
 */
import { formatInstant } from "../../_shared/record/instant.ts";
import type { Fields, Log } from "../../_shared/telemetry.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { WrittenBatch } from "../store/batch.ts";
import type { AssignedPartition, HealthState } from "../health/health_state.ts";
import type { ConsumerMetrics } from "./metrics.ts";
import type { Outages } from "./outages.ts";

export type TelemetrySinks = {
  log: Log;
  metrics: ConsumerMetrics;
  outages: Outages;
  healthState: HealthState;
};

/** A person cannot read more lines. */
const LINES_PER_SECOND = 5;
const BURST = 20;

const zeroSums = () => ({ records: 0, stored: 0, duplicates: 0, rejected: 0, gaps: 0 });

/** @param debug whether to log each reading */
export function batchFacts({ log, metrics, outages, healthState }: TelemetrySinks, debug: boolean) {
  const rejectLog = sampledLog(log, "record.rejected");
  const anomalyLog = sampledLog(log, "reading.anomaly");
  let sums = zeroSums();
  const offsets = new Map<number, Offset>();
  return {
    batchWritten: (assigned: AssignedPartition, written: WrittenBatch, durationMs: number) => {
      const { partition } = assigned;
      const { counts, slice, plan: { readings, records }, rejects, stored } = written;
      const { from, next } = slice;
      outages.works("database", assigned);
      healthState.committed();
      for (const { record: { offset }, reason, detail } of rejects) {
        metrics.rejects.inc({ reason });
        rejectLog.warning(`Rejected: ${detail}`, { reason, partition, offset });
      }
      for (const { cause, from, to } of slice.gaps) metrics.gaps.inc({ cause }, to - from);
      metrics.records.inc({ outcome: "stored" }, counts.stored);
      metrics.records.inc({ outcome: "duplicate" }, counts.duplicates);
      metrics.records.inc({ outcome: "rejected" }, counts.rejected);
      metrics.batchRecords.observe(slice.records.length);
      metrics.batchSeconds.observe(durationMs / 1000);
      const newestMs = slice.records.at(-1)?.timestampMs;
      if (newestMs !== undefined) metrics.endToEnd.observe(Math.max(0, Date.now() - newestMs) / 1000);
      for (const row of stored) {
        const anomaly = readings.anomaly(row);
        if (anomaly === null && !debug) continue;
        const { customerId: customer_id, ts, heartRate: heart_rate } = readings.reading(row);
        const offset = records.at(readings.record[row] ?? 0)?.offset;
        const fields = { customer_id, ts: formatInstant(ts), heart_rate, partition, offset };
        if (debug) log.debug("reading.stored", "Stored a reading", fields);
        if (anomaly === null) continue;
        metrics.anomalies.inc({ kind: anomaly });
        const message = `Heart rate ${anomaly}: ${heart_rate} bpm, customer ${customer_id}`;
        anomalyLog.warning(message, { anomaly, ...fields });
      }
      sums.records += slice.records.length;
      for (const count of ["stored", "duplicates", "rejected", "gaps"] as const) sums[count] += counts[count];
      offsets.set(partition, next);
      log.debug("batch.stored", "Stored a batch", { partition, from, next, ...counts, durationMs });
    },
    summarise: (seconds: number) => {
      rejectLog.summarise();
      anomalyLog.summarise();
      if (offsets.size === 0) return;
      const message = `Stored ${sums.stored} of ${sums.records} records in ${seconds.toFixed(1)} s`;
      log.info("store.summary", message, { ...sums, next_offsets: Object.fromEntries(offsets) });
      sums = zeroSums();
      offsets.clear();
    },
  };
}

/** Logs each event while there are few. Otherwise it logs some of them and counts the rest. */
function sampledLog(log: Log, event: string) {
  let tokens = BURST;
  let refilledAt = performance.now();
  let suppressed = 0;
  let sample: Fields | undefined;
  return {
    warning: (message: string, fields: Fields) => {
      const now = performance.now();
      tokens = Math.min(BURST, tokens + (now - refilledAt) / 1000 * LINES_PER_SECOND);
      refilledAt = now;
      if (tokens >= 1) {
        tokens--;
        return log.warning(event, message, fields);
      }
      suppressed++;
      sample = fields;
    },
    summarise: () => {
      if (suppressed === 0) return;
      const message = `${suppressed} more ${event} events, not listed`;
      log.warning(`${event}.suppressed`, message, { count: suppressed, sample });
      suppressed = 0;
    },
  };
}
