/** Stores the consumer's status in public.consumer_status, for readers that cannot reach its health port. */
import { setTimeout as after } from "node:timers/promises";
import { sleep } from "../_shared/backoff.ts";
import { describeError } from "../_shared/errors.ts";
import { knownLastStableOffsets } from "../_shared/kafka/topic.ts";
import { printable } from "../_shared/output.ts";
import { VERSION } from "../_shared/version.ts";
import type { ConsumeOptions, ConsumerContext } from "./partition_ports.ts";

/** A row older than three intervals means that the consumer is not running. */
const INTERVAL_MS = 5_000;
/** A broker that hangs must not delay the row. */
const KAFKA_ANSWERS_WITHIN_MS = 2_000;
/** A database that hangs must not delay the end of the consumer. */
const END_WITHIN_MS = 1_000;

/** One round trip. The commit does not wait for the disk: a row lost in a crash of the server is written again in 5 s. */
const STORE = `
  with old as (
    delete from public.consumer_status where seen_at < now() - interval '1 day' and consumer <> $1
  )
  insert into public.consumer_status
         (consumer, host, pid, version, group_id, topic, topic_id, started_at, seen_at, partitions, log_end_offsets,
          reasons, limits, rollup_lag_seconds)
  select $1, $2, $3::integer, $4, $5, $6, $7::uuid, now() - make_interval(secs => $8), now(), $9::integer[],
         $10::bigint[], $11::text[], $12::jsonb, (select max(lag_seconds) from public.rollup_lag)
    from set_config('synchronous_commit', 'off', true)
      on conflict (consumer) do update
     set topic_id = excluded.topic_id, seen_at = excluded.seen_at, partitions = excluded.partitions,
         log_end_offsets = excluded.log_end_offsets, reasons = excluded.reasons,
         rollup_lag_seconds = excluded.rollup_lag_seconds`;

/** Stores the row until `signal` aborts. An orderly stop deletes it; after a failure it stays, with the reason. */
export async function keepStatus(environment: ConsumerContext, options: ConsumeOptions): Promise<void> {
  const { database, secrets, telemetry } = environment;
  const { signal } = options;
  const consumer = crypto.randomUUID();
  // PostgreSQL takes no zero byte in a text.
  const told = (text: string) => printable(secrets.redact(text));
  let failed = false;
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work();
      failed = false;
    } catch (error) {
      if (!failed) telemetry.statusFailed(error);
      failed = true;
    }
  };
  const store = async () => {
    const status = await statusOf(environment, options, told);
    if (!signal.aborted) await database.query(STORE, [consumer, ...status]);
  };
  let storing: Promise<void> | undefined;
  while (!signal.aborted) {
    storing ??= attempt(store).finally(() => storing = undefined);
    await sleep(INTERVAL_MS, { signal });
  }
  const end = async () => {
    await storing;
    if (failed) return;
    const { reason } = signal;
    const [sql, ...more] = reason.name === "AbortError"
      ? ["delete from public.consumer_status where consumer = $1"]
      : [
        "update public.consumer_status set reasons = reasons || $2::text where consumer = $1",
        told(`consumer: ${describeError(reason)}`),
      ];
    await attempt(() => database.query(sql, [consumer, ...more]));
  };
  await Promise.race([end(), after(END_WITHIN_MS)]);
}

/** The parameters of {@link STORE} from $2 on. */
async function statusOf(
  { client, connection: { topic: name }, topic, partitions, health }: ConsumerContext,
  { groupId, limits: { minBpm: min, maxBpm: max, lowBpm: low, highBpm: high }, signal }: ConsumeOptions,
  told: (text: string) => string,
): Promise<unknown[]> {
  const { id = null, leaders = [] } = topic() ?? {};
  const numbers = [...partitions()].map(({ number }) => number).sort((a, b) => a - b);
  const until = { withinMs: KAFKA_ANSWERS_WITHIN_MS, signal };
  const ends = await knownLastStableOffsets(client, { name, leaders }, numbers, until);
  return [
    Deno.hostname(),
    Deno.pid,
    VERSION,
    groupId,
    name,
    id,
    performance.now() / 1000,
    numbers,
    ends,
    health.readyReasons().map(told),
    JSON.stringify({ min, max, low, high }),
  ];
}
