import { askLoopback } from "../../workers/_shared/health.ts";
import { LOG_ENDS, RUNS } from "../../workers/_shared/ledger_sql.ts";
import type { Row } from "../../workers/_shared/postgres.ts";
import { Meter } from "./meter.ts";
import { parseMetrics, total } from "./metrics_text.ts";

export interface Reading {
  readonly customerId: string;
  readonly ts: Date;
  readonly heartRate: number;
  readonly anomaly: "low" | "high" | null;
}

export interface Totals {
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
}

/** Undefined means unknown. Names that end in `Run` count this run, `totals` all runs on the database. */
export interface Status {
  /** The reasons why the pipeline does not work, from /readyz of the workers. Empty if it works. */
  readonly problems: readonly string[];
  readonly publishedPerSecond: number | undefined;
  readonly storedPerSecond: number | undefined;
  readonly totals: Totals | undefined;
  readonly storedRun: number;
  readonly rejectsRun: ReadonlyMap<string, number>;
  readonly anomaliesRun: { readonly low: number; readonly high: number };
  readonly lagRecords: number | undefined;
  readonly lagSeconds: number | undefined;
  /** Seconds from Kafka's timestamp to the commit, over the last 30 s. */
  readonly latency: { readonly p50: number | undefined; readonly p99: number | undefined };
  readonly latest: readonly Reading[];
}

export type Query = <T extends Row>(sql: string) => Promise<T[]>;

export interface Part {
  readonly name: string;
  readonly running: boolean;
}

/** `healthPort` is undefined until the worker listens. */
export interface WorkerPart extends Part {
  readonly healthPort: number | undefined;
  readonly pid: number;
}

export interface Parts {
  readonly servers: readonly Part[];
  readonly consumer: WorkerPart;
  readonly producer: WorkerPart | undefined;
}

const LATEST_READINGS = 6;
/** Reasons why other consumers, such as a `deno task consume` in a second terminal, are not ready. */
const OTHERS = `
  select format('consumer %s on %s: %s', pid, host, reason) as problem
    from public.consumer_status
   cross join unnest(reasons) as reason
   where ${RUNS}`;
/** The lag of all partitions of the newest topic. */
const LAG = `
  select sum(greatest(log_end - next_offset, 0)) as lag
    from (${LOG_ENDS}
         ) as reported
    join (select distinct on (topic_id, kafka_partition) topic_id, kafka_partition, next_offset
            from public.ingest_offsets
           order by topic_id, kafka_partition, generation desc) as ledger using (topic_id, kafka_partition)
   where topic_id = (select topic_id from public.consumer_status
                      where topic_id is not null order by seen_at desc limit 1)`;
const ANSWER_WITHIN_MS = 1_500;

export class StatusSource {
  readonly #consumer = new Meter("heartbeat_records_total", [
    ["heartbeat_records_total", "outcome"],
    ["heartbeat_rejects_total", "reason"],
    ["heartbeat_anomalies_total", "kind"],
  ]);
  readonly #producer = new Meter("heartbeat_published_total");
  #totals: Totals | undefined;
  #latest: readonly Reading[] = [];
  #others: readonly string[] = [];
  #lagRecords: number | undefined;

  constructor(readonly parts: Parts, readonly query: Query) {}

  /** Asks all sources at once. A source that does not answer keeps its last values. */
  async gather(): Promise<Status> {
    const { servers, consumer: consumerPart, producer: producerPart } = this.parts;
    const workers = [consumerPart, ...(producerPart === undefined ? [] : [producerPart])];
    const [unready] = await Promise.all([
      Promise.all(workers.map(readiness)),
      this.#scrape(this.#consumer, consumerPart.healthPort),
      this.#scrape(this.#producer, producerPart?.healthPort),
      this.#ask().catch(() => {}),
    ]);
    const consumer = this.#consumer.newest;
    const anomalies = this.#consumer.sums("heartbeat_anomalies_total", "kind");
    const lagSeconds = (consumer.get("heartbeat_lag_seconds") ?? []).map(({ value }) => value);
    return {
      problems: [
        ...servers.filter(({ running }) => !running).map(notRunning),
        ...unready.flat(),
        ...this.#others,
      ],
      publishedPerSecond: this.#producer.rate("heartbeat_published_total"),
      storedPerSecond: this.#consumer.rate("heartbeat_records_total", { outcome: "stored" }),
      totals: this.#totals,
      storedRun: this.#consumer.sums("heartbeat_records_total", "outcome").get("stored") ?? 0,
      rejectsRun: this.#consumer.sums("heartbeat_rejects_total", "reason"),
      anomaliesRun: { low: anomalies.get("low") ?? 0, high: anomalies.get("high") ?? 0 },
      lagRecords: largest([
        // This value is more recent than the one from PostgreSQL, but it covers only the partitions of this consumer.
        ...(consumer.has("heartbeat_lag_records") ? [total(consumer, "heartbeat_lag_records")] : []),
        ...(this.#lagRecords === undefined ? [] : [this.#lagRecords]),
      ]),
      lagSeconds: largest(lagSeconds),
      latency: {
        p50: this.#consumer.quantile("heartbeat_end_to_end_seconds", 0.5),
        p99: this.#consumer.quantile("heartbeat_end_to_end_seconds", 0.99),
      },
      latest: this.#latest,
    };
  }

  async #scrape(meter: Meter, port: number | undefined): Promise<void> {
    if (port === undefined) return;
    try {
      const { status, text } = await askLoopback(`http://127.0.0.1:${port}/metrics`, ANSWER_WITHIN_MS);
      if (status === 200) meter.add(performance.now(), parseMetrics(text));
    } catch {
      // The worker starts, stops or is stuck. Its readiness and its log show that.
    }
  }

  async #ask(): Promise<void> {
    const [totals] = await this.query<Row & Record<keyof Totals, string | null>>(
      `select sum(stored) as stored, sum(duplicates) as duplicates, sum(rejected) as rejected
         from public.ingest_offsets`,
    );
    this.#totals = {
      stored: Number(totals?.stored ?? 0),
      duplicates: Number(totals?.duplicates ?? 0),
      rejected: Number(totals?.rejected ?? 0),
    };
    const { pid } = this.parts.consumer;
    const others = await this.query<Row & { problem: string }>(`${OTHERS} and pid <> ${pid}`);
    this.#others = others.map(({ problem }) => problem);
    const [{ lag } = { lag: null }] = await this.query<Row & { lag: string | null }>(LAG);
    this.#lagRecords = lag === null ? undefined : Number(lag);
    const rows = await this.query<
      Row & { customer_id: string; ts: Date; heart_rate: number; anomaly: Reading["anomaly"] }
    >(
      `select customer_id, ts, heart_rate, anomaly from public.heartbeats order by ts desc limit ${LATEST_READINGS}`,
    );
    this.#latest = rows.map((row) => ({
      customerId: row.customer_id,
      ts: row.ts,
      heartRate: row.heart_rate,
      anomaly: row.anomaly,
    }));
  }
}

function largest(numbers: readonly number[]): number | undefined {
  return numbers.length === 0 ? undefined : Math.max(...numbers);
}

function notRunning({ name }: Part): string {
  return `${name} is not running`;
}

async function readiness(worker: WorkerPart): Promise<string[]> {
  const { name, running, healthPort } = worker;
  if (!running) return [notRunning(worker)];
  if (healthPort === undefined) return [`${name} is starting`];
  try {
    const { status, text } = await askLoopback(`http://127.0.0.1:${healthPort}/readyz`, ANSWER_WITHIN_MS);
    if (status === 200) return [];
    const { reasons }: { reasons: string[] } = JSON.parse(text);
    return reasons.map((reason) => `${name.replace(/^The /, "")}: ${reason}`);
  } catch {
    return [`${name} does not answer`];
  }
}
