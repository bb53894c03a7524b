import { deepStrictEqual, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import { bad, type Intended, reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";

const T = "2026-07-14T09:30:00Z";

function batch(prefix: string, timestamp = T): Intended[] {
  const readings = Array.from(
    { length: 50 },
    (_, index) => reading(`${prefix}-${index}`, timestamp, 60 + index),
  );
  return [...readings, bad("invalid_json", `{"${prefix}`)];
}

/** `refuse` makes PostgreSQL refuse writes, `reason` is the reason in readiness, and `repair` ends the refusal. */
const REFUSALS = [
  {
    name: "a missing right to insert readings",
    refuse: "revoke insert on public.heartbeats from heartbeat_user",
    reason: /database: .*permission denied.*grant the missing right/,
    repair: "grant insert on public.heartbeats to heartbeat_user",
  },
  {
    name: "a missing right to insert rejects",
    refuse: "revoke insert on public.heartbeat_rejects from heartbeat_user",
    reason: /database: .*permission denied.*grant the missing right/,
    repair: "grant insert on public.heartbeat_rejects to heartbeat_user",
  },
  {
    name: "a missing right to update the ledger",
    refuse: "revoke update on public.ingest_offsets from heartbeat_user",
    reason: /database: .*permission denied.*grant the missing right/,
    repair: "grant update on public.ingest_offsets to heartbeat_user",
  },
  {
    name: "a missing table of readings",
    refuse: "alter table public.heartbeats rename to elsewhere",
    reason: /database: .*does not exist.*restore the missing table/,
    repair: "alter table public.elsewhere rename to heartbeats",
  },
  {
    name: "a missing table of change rows",
    refuse: "alter table public.ingest_changes rename to elsewhere",
    reason: /database: .*does not exist.*restore the missing table/,
    repair: "alter table public.elsewhere rename to ingest_changes",
  },
  {
    name: "a dropped table of rejects",
    refuse: `create table public.kept as table public.heartbeat_rejects;
             create table public.kept_empty (like public.heartbeat_rejects including all);
             drop table public.heartbeat_rejects`,
    reason: /database: .*does not exist.*restore the missing table/,
    repair: `alter table public.kept_empty rename to heartbeat_rejects;
             insert into public.heartbeat_rejects table public.kept;
             drop table public.kept`,
  },
  {
    name: "a detached default partition",
    refuse: `alter table public.heartbeats detach partition public.heartbeats_default;
             revoke execute on function public.ensure_heartbeat_partition(regclass, timestamptz) from heartbeat_user`,
    // This day has no day partition.
    timestamp: "2020-02-02T00:00:00Z",
    reason: /database: .*no partition of relation.*attach the default partition again/,
    repair: `alter table public.heartbeats attach partition public.heartbeats_default default;
             grant execute on function public.ensure_heartbeat_partition(regclass, timestamptz) to heartbeat_user`,
  },
  {
    name: "a NOT NULL column that the consumer does not know",
    refuse: `alter table public.heartbeats add column device text not null default 'old';
             alter table public.heartbeats alter column device drop default`,
    reason: /database: .*null value in column .*device.*drop the constraint/,
    repair: "alter table public.heartbeats drop column device",
  },
  {
    name: "a unique index on other columns than the key",
    refuse: "create unique index once on public.heartbeats (heart_rate, ts)",
    reason: /database: .*violates unique constraint.*drop the constraint or index/,
    repair: "drop index public.once",
  },
  {
    name: "a foreign key to a table without the new customers",
    refuse: `create table public.people as select distinct customer_id from public.heartbeats;
             alter table public.people add primary key (customer_id);
             alter table public.heartbeats add constraint known foreign key (customer_id) references public.people`,
    reason: /database: .*violates foreign key constraint .*known.*drop the constraint/,
    repair: "alter table public.heartbeats drop constraint known",
  },
  {
    name: "a trigger that fails for some readings",
    refuse: `create table public.audit (customer_id varchar(2));
             create function public.audit() returns trigger language plpgsql as $$
               begin insert into public.audit values (new.customer_id); return new; end $$;
             create trigger audit before insert on public.heartbeats for each row execute function public.audit()`,
    reason: /database: .*value too long for type character varying\(2\)/,
    repair: "drop trigger audit on public.heartbeats",
  },
];

for (const { name, refuse, timestamp, reason, repair } of REFUSALS) {
  Deno.test(
    `because of ${name}, a consumer keeps its offset and rejects nothing; it stores everything after the repair`,
    onPlace({}, async (place) => {
      const consumer = place.consumer();
      const sent = await place.publisher.send(batch("a"));
      await accountFor(place, sent);
      await place.sql(refuse);
      sent.push(...await place.publisher.send(batch("b", timestamp)));
      await consumer.untilNotReady(reason);
      await eventually("more retries", async () => await consumer.metric("heartbeat_retries_total") >= 4);
      deepStrictEqual(await place.sql("select next_offset, stored, rejected from public.ingest_offsets"), [
        { next_offset: "51", stored: "50", rejected: "1" },
      ]);
      await eventually("the waiting records to count as lag", async () => {
        return await consumer.metric("heartbeat_lag_records") === 51;
      });
      strictEqual((await consumer.get("/livez")).status, 200);
      const groups = await place.admin.listConsumerGroupOffsets({ groups: [{ groupId: place.topic }] });
      const committed = groups[0]?.topics[0]?.partitions[0]?.committedOffset ?? 0n;
      strictEqual(committed <= 51n, true, `the committed offset ${committed} is ahead of the ledger`);
      await place.sql(repair);
      await accountFor(place, sent);
      await consumer.untilReady();
    }),
  );
}
