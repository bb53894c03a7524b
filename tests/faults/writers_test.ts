import { deepStrictEqual, strictEqual } from "node:assert";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { eventually } from "../../lab/eventually.ts";
import { type Intended, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import { waitForLockWait } from "../support/lock_wait.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";

const T = "2026-07-14T09:30:00Z";
const PARTITIONS = 8;
const ROUNDS = 30;

async function deadlocks(place: Place): Promise<number> {
  const [row] = await place.sql("select deadlocks from pg_stat_database where datname = current_database()");
  return Number(row?.deadlocks);
}

Deno.test(
  "four consumers with overlapping keys store each key once and cause no deadlock",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const consumers = [1, 2, 3, 4].map(() => place.consumer({ env: { BATCH_MAX_RECORDS: "200" } }));
    await Promise.all(consumers.map((consumer) => consumer.untilLogged("group.assigned")));
    const sent: Sent<Intended>[] = [];
    // Every partition has the same keys, each in another order.
    for (let round = 0; round < ROUNDS; round++) {
      const keys = Array.from({ length: 300 }, (_, index) => index + round * 100);
      const records = Array.from({ length: PARTITIONS }, (_, partition) => {
        return keys.map((_key, index) => {
          const key = keys[(index * (2 * partition * 5 + 1) + partition * 37) % keys.length];
          return reading(`customer-${key}`, T, 70, { partition });
        });
      });
      sent.push(...await place.publisher.send(records.flat()));
    }
    await eventually("the consumers to read everything, or a deadlock", async () => {
      const [ledger] = await place.sql("select sum(next_offset)::int as next from public.ingest_offsets");
      return ledger?.next === sent.length || await deadlocks(place) > 0;
    }, { withinMs: 180_000 });
    strictEqual(await deadlocks(place), 0);
    await accountFor(place, sent);
    strictEqual(await deadlocks(place), 0);
  }),
);

Deno.test(
  "a consumer retries a batch once after a deadlock with another session, and rejects nothing",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    const sent = await place.publisher.send([reading("first", T, 70)]);
    await accountFor(place, sent);
    // A session looks for a deadlock after it has waited for this time. The other session would look after an hour, so the
    // consumer's session finds the deadlock.
    await place.asSuperuser(`alter database "${place.database}" set deadlock_timeout = '5s'`);
    await place.sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'heartbeat-consumer%'",
    );
    await withClient(place.superuserUrl, async (other) => {
      await other.query("set deadlock_timeout = '1h'");
      const insert = (customer: string) =>
        other.query("insert into public.heartbeats values ($1, $2, 71, null)", [customer, T]);
      await other.query("begin");
      await insert("z");
      sent.push(...await place.publisher.send([reading("a", T, 70), reading("z", T, 70)]));
      await waitForLockWait(place);
      // This insert waits for the consumer's row a, until PostgreSQL cancels the consumer's transaction.
      await insert("a");
      await other.query("rollback");
    });
    await accountFor(place, sent);
    strictEqual(await deadlocks(place), 1);
    const failures = consumer.lines.filter(({ message }) => /SQLSTATE 40P01/.test(message));
    strictEqual(failures.length, 1, `expected one failed write\n${consumer.tail()}`);
    strictEqual(await consumer.metric("heartbeat_retries_total"), 1);
    deepStrictEqual(await place.sql("select stored, rejected from public.ingest_offsets"), [
      { stored: "3", rejected: "0" },
    ]);
  }),
);
