/** A database that answers and refuses: nothing is committed past what it did not take. */
import { deepStrictEqual, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import { bad, type Intended, reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";

const T = "2026-07-14T09:30:00Z";

function batch(prefix: string, at = T): Intended[] {
  const readings = Array.from({ length: 50 }, (_, index) => reading(`${prefix}-${index}`, at, 60 + index));
  return [...readings, bad("invalid_json", `{"${prefix}`)];
}

/** What an operator does to a table, what the consumer says of it, and how it is repaired. */
const REFUSALS = [
  {
    name: "the right to insert readings that was revoked",
    refuse: "revoke insert on public.heartbeats from heartbeat_user",
    says: /database: .*permission denied.*grant the missing right/,
    repair: "grant insert on public.heartbeats to heartbeat_user",
  },
  {
    name: "the right to insert rejects that was revoked",
    refuse: "revoke insert on public.heartbeat_rejects from heartbeat_user",
    says: /database: .*permission denied.*grant the missing right/,
    repair: "grant insert on public.heartbeat_rejects to heartbeat_user",
  },
  {
    name: "the right to move the offset that was revoked",
    refuse: "revoke update on public.ingest_offsets from heartbeat_user",
    says: /database: .*permission denied.*grant the missing right/,
    repair: "grant update on public.ingest_offsets to heartbeat_user",
  },
  {
    name: "the table of readings that is gone",
    refuse: "alter table public.heartbeats rename to elsewhere",
    says: /database: .*does not exist.*restore the missing table/,
    repair: "alter table public.elsewhere rename to heartbeats",
  },
  {
    name: "the table of changes that is gone",
    refuse: "alter table public.ingest_changes rename to elsewhere",
    says: /database: .*does not exist.*restore the missing table/,
    repair: "alter table public.elsewhere rename to ingest_changes",
  },
  {
    name: "the table of rejects that was dropped, with a copy kept",
    refuse: `create table public.kept as table public.heartbeat_rejects;
             create table public.kept_empty (like public.heartbeat_rejects including all);
             drop table public.heartbeat_rejects`,
    says: /database: .*does not exist.*restore the missing table/,
    repair: `alter table public.kept_empty rename to heartbeat_rejects;
             insert into public.heartbeat_rejects table public.kept;
             drop table public.kept`,
  },
  {
    name: "the default partition that was detached, with a day whose own partition cannot be made,",
    refuse: `alter table public.heartbeats detach partition public.heartbeats_default;
             revoke execute on function public.ensure_heartbeat_partition(regclass, timestamptz) from heartbeat_user`,
    at: "2020-02-02T00:00:00Z",
    says: /database: .*no partition of relation.*attach the default partition again/,
    repair: `alter table public.heartbeats attach partition public.heartbeats_default default;
             grant execute on function public.ensure_heartbeat_partition(regclass, timestamptz) to heartbeat_user`,
  },
  {
    name: "a column that must not be null and that the consumer does not know",
    refuse: `alter table public.heartbeats add column device text not null default 'old';
             alter table public.heartbeats alter column device drop default`,
    says: /database: .*null value in column .*device.*drop the constraint/,
    repair: "alter table public.heartbeats drop column device",
  },
  {
    name: "a unique index over less than the key of a reading",
    refuse: "create unique index once on public.heartbeats (heart_rate, ts)",
    says: /database: .*violates unique constraint.*drop the constraint or index/,
    repair: "drop index public.once",
  },
  {
    name: "a foreign key to a table that does not know the customers yet",
    refuse: `create table public.people as select distinct customer_id from public.heartbeats;
             alter table public.people add primary key (customer_id);
             alter table public.heartbeats add constraint known foreign key (customer_id) references public.people`,
    says: /database: .*violates foreign key constraint .*known.*drop the constraint/,
    repair: "alter table public.heartbeats drop constraint known",
  },
  {
    name: "a trigger whose code cannot write every reading down",
    refuse: `create table public.audit (customer_id varchar(2));
             create function public.audit() returns trigger language plpgsql as $$
               begin insert into public.audit values (new.customer_id); return new; end $$;
             create trigger audit before insert on public.heartbeats for each row execute function public.audit()`,
    says: /database: .*value too long for type character varying\(2\)/,
    repair: "drop trigger audit on public.heartbeats",
  },
];

for (const { name, refuse, at, says, repair } of REFUSALS) {
  Deno.test(
    `${name} holds the offset where it is, rejects nothing, and once repaired all is stored`,
    onPlace({}, async (place) => {
      const consumer = place.consumer();
      const sent = await place.publisher.send(batch("a"));
      await accountFor(place, sent);
      await place.sql(refuse);
      sent.push(...await place.publisher.send(batch("b", at)));
      await consumer.notReady(says);
      // The first try failed; nothing changes with the next ones.
      await eventually("more tries", async () => await consumer.metric("heartbeat_retries_total") >= 4);
      deepStrictEqual(await place.sql("select next_offset, stored, rejected from public.ingest_offsets"), [
        { next_offset: "51", stored: "50", rejected: "1" },
      ]);
      await eventually("what is not stored to show as lag", async () => {
        return await consumer.metric("heartbeat_lag_records") === 51;
      });
      strictEqual((await consumer.get("/livez")).status, 200);
      const groups = await place.admin.listConsumerGroupOffsets({ groups: [{ groupId: place.topic }] });
      const told = groups[0]?.topics[0]?.partitions[0]?.committedOffset ?? 0n;
      strictEqual(told <= 51n, true, `the group was told ${told}`);
      await place.sql(repair);
      await accountFor(place, sent);
      await consumer.ready();
    }),
  );
}
