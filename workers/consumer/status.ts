import { setTimeout as after } from "node:timers/promises";
import { sleep } from "../_shared/backoff.ts";
import { describeError } from "../_shared/errors.ts";
import { knownLastStableOffsets } from "../_shared/kafka/topic.ts";
import { printable } from "../_shared/output.ts";
import { VERSION } from "../_shared/version.ts";
import type { ConsumerContext } from "./partition_ports.ts";

/** Readers of the table assume that a consumer has stopped when its row is older than three intervals. */
const INTERVAL_MS = 5_000;
/** A broker that does not answer must not delay the row for longer. */
const KAFKA_WAIT_MS = 2_000;
/** A database that does not answer must not delay the end of the consumer for longer. */
const END_WAIT_MS = 1_000;

/** The commit does not wait for the disk, because a row that is lost in a crash of the server is stored again soon. */
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

/**
 * Keeps the row of this consumer in public.consumer_status, for readers that cannot reach the health port. An orderly stop
 * deletes the row. After a failure, the row names the reason.
 */
export async function keepStatus(context: ConsumerContext): Promise<void> {
  const { database, telemetry, options: { signal } } = context;
  const consumer = crypto.randomUUID();
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
    const status = await statusOf(context);
    if (!signal.aborted) await database.query(STORE, [consumer, ...status]);
  };
  let storing: Promise<void> | undefined;
  while (!signal.aborted) {
    storing ??= attempt(store).finally(() => storing = undefined);
    await sleep(INTERVAL_MS, { signal });
  }
  const finish = async () => {
    await storing;
    if (failed) return;
    const { reason } = signal;
    const [sql, ...more] = reason.name === "AbortError"
      ? ["delete from public.consumer_status where consumer = $1"]
      : [
        "update public.consumer_status set reasons = reasons || $2::text where consumer = $1",
        textOf(context, `consumer: ${describeError(reason)}`),
      ];
    await attempt(() => database.query(sql, [consumer, ...more]));
  };
  await Promise.race([finish(), after(END_WAIT_MS)]);
}

/** PostgreSQL refuses a text with a zero byte, and the row must show no secret. */
const textOf = ({ secrets }: ConsumerContext, text: string) => printable(secrets.redact(text));

/** The parameters of {@link STORE} from $2 on. */
async function statusOf(context: ConsumerContext): Promise<unknown[]> {
  const { client, connection: { topic: name }, topic, partitions, health, options } = context;
  const { groupId, limits: { minBpm: min, maxBpm: max, lowBpm: low, highBpm: high }, signal } = options;
  const { id = null, leaders = [] } = topic() ?? {};
  const numbers = [...partitions()].map(({ number }) => number).sort((a, b) => a - b);
  const until = { withinMs: KAFKA_WAIT_MS, signal };
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
    health.readyReasons().map((reason) => textOf(context, reason)),
    JSON.stringify({ min, max, low, high }),
  ];
}
