import { LAG_RECORDS, LAG_SECONDS, LOG_ENDS, UNACCOUNTED } from "../../_shared/ledger_sql.ts";
import type { Database, Session } from "../../_shared/postgres.ts";
import type { BpmLimits, PipelineState } from "../view/view.ts";
import type { PollSnapshot } from "./latest_readings.ts";
import { type Facts, problemsOf, progressOf, REPORTS, REPORTS_WITHIN_MS, type Sample } from "./problems.ts";
import { firstRow, inSnapshot, kept, LIMITS, type Measured, ms } from "./snapshot.ts";

/** Over a longer time, the rate would be slow to change. */
const RATE_OVER_MS = 10_000;
const SAMPLES_KEPT_MS = 30_000;
/** While the database did not answer, the consumers could not report. They have this time to do so. */
const GRACE_MS = 15_000;
/** Adding up the table of gaps can take long, so not every poll does it. */
const AUDIT_EVERY_MS = 30_000;

/** What one snapshot says about the pipeline. */
export interface Pipeline extends PollSnapshot, Pick<Facts, "consumers" | "aliveMs" | "lag"> {
  readonly stored: number;
  readonly limits: BpmLimits | null;
  readonly stands: boolean;
}

type Row = Omit<Pipeline, "aliveMs" | "stands" | "unknownSince">;

const PIPELINE = `
  select ${ms("now()")} as at, pg_snapshot_xmin(pg_current_snapshot())::xid::text as horizon,
         (select coalesce(sum(stored), 0)::float8 from public.ingest_offsets) as stored,
         (select coalesce(json_object_agg(id, moves), '{}') from public.ingest_offsets) as moves,
         (select ${ms("max(last_batch_at)")} from public.ingest_offsets) as "lastBatchAt",
         (select json_build_object('records', sum(${LAG_RECORDS}), 'seconds', max(${LAG_SECONDS}))
            from (select distinct on (topic_id, kafka_partition) *
                    from public.ingest_offsets order by topic_id, kafka_partition, id desc) log
            join (${LOG_ENDS}) told using (topic_id, kafka_partition)
           where ${REPORTS}) as lag,
         (select json_build_object('cursor', max(cursor), 'records', coalesce(sum(offsets), 0), 'seconds', coalesce(max(lag_seconds), 0))
            from public.rollup left join public.rollup_lag on true) as rollup,
         (select coalesce(json_agg(json_build_object('host', host, 'reasons', reasons,
                                                     'seenSeconds', extract(epoch from now() - seen_at)) order by seen_at desc), '[]')
            from (select * from public.consumer_status order by seen_at desc limit 100) status) as consumers,
         (${LIMITS}) as limits`;

/** Judges the pipeline by one snapshot and by what the polls before saw. */
export class PipelineWatch {
  #samples: readonly Sample[] = [];
  #failedAt = -Infinity;
  /** The last snapshot that is not soon after a failed poll. */
  #calmAt: number | undefined;
  readonly #unaccounted;

  constructor(private readonly database: Database, measured: Measured) {
    const sql = `select (${UNACCOUNTED})::float8 as offsets`;
    this.#unaccounted = kept(AUDIT_EVERY_MS, async () => {
      const [row] = await measured("audit", () => database.query<{ offsets: number }>(sql));
      return row?.offsets;
    });
  }

  /** Costs less than Now. */
  async state(): Promise<PipelineState> {
    const read = (session: Session) => this.read(session);
    const pipeline = await inSnapshot(this.database, read).catch(this.failed);
    return await this.stateOf(pipeline, { omitsPending: false, omitsLately: false, isFull: false });
  }

  async read(session: Session): Promise<Pipeline> {
    const row = await firstRow<Row>(session, PIPELINE);
    const { at, stored, lag: { records: lag } } = row;
    this.#samples = [...this.#samples.filter((old) => old.at > at - SAMPLES_KEPT_MS), { at, stored, lag }];
    if (performance.now() - this.#failedAt > GRACE_MS) this.#calmAt = at;
    const aliveMs = at - (this.#calmAt ?? at) + REPORTS_WITHIN_MS;
    return { ...row, aliveMs, ...progressOf({ ...row, aliveMs }) };
  }

  /** Takes the error of a poll that failed, and throws it. */
  readonly failed = (error: unknown): never => {
    this.#failedAt = performance.now();
    throw error;
  };

  /** @param shown what the page leaves out */
  async stateOf(
    pipeline: Pipeline,
    shown: Pick<Facts, "omitsPending" | "omitsLately" | "isFull">,
  ): Promise<PipelineState> {
    const { at, stored, stands, unknownSince } = pipeline;
    const unaccounted = await this.#unaccounted();
    const problems = problemsOf({ ...pipeline, ...shown, samples: this.#samples, unaccounted });
    return { at, problems, hasStored: stored > 0, stands, unknownSince };
  }

  get readingsPerSecond(): number | null {
    const newest = this.#samples.at(-1);
    const oldest = this.#samples.find(({ at }) => newest !== undefined && at >= newest.at - RATE_OVER_MS);
    if (newest === undefined || oldest === undefined || oldest.at === newest.at) return null;
    return Math.max(0, newest.stored - oldest.stored) / (newest.at - oldest.at) * 1_000;
  }
}
