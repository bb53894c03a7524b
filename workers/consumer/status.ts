import { setTimeout as after } from "node:timers/promises";
import { sleep } from "../_shared/backoff.ts";
import { describeError } from "../_shared/errors.ts";
import { knownLastStableOffsets } from "../_shared/kafka/topic.ts";
import { printable } from "../_shared/output.ts";
import { VERSION } from "../_shared/version.ts";
import type { ConsumerContext } from "./partition_ports.ts";

/** For readers, a consumer is not running once its row is older than three intervals. */
const INTERVAL_MS = 5_000;
/** Servers that do not answer must delay neither the row nor the end of the consumer for longer. */
const KAFKA_WAIT_MS = 2_000;
const END_WAIT_MS = 1_000;

/** One round trip, which does not wait for the disk: a row that a crash of the server loses is stored again soon. */
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

/** Keeps a row for readers that cannot reach the health port. An orderly stop deletes it; after a failure it says why. */
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
  const end = async () => {
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
  await Promise.race([end(), after(END_WAIT_MS)]);
}

/** PostgreSQL stores no zero byte in a text, and the row must show no secret. */
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
