/** Records that stop other pipelines: none of them holds its partition up, or takes a neighbour along. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { bad, type Intended, reading } from "../support/judge.ts";
import type { Sent } from "../support/produce.ts";
import { onPlace } from "../support/services.ts";
import { logStatements } from "../support/statements.ts";
import { accountFor, QUICK_TAKEOVER } from "./account.ts";

const T = "2026-07-14T09:30:00Z";

function bytes(...values: number[]): Uint8Array {
  return new Uint8Array(values);
}

Deno.test(
  "a bad record costs one reject with its exact bytes, and its neighbours are stored",
  onPlace({ topicConfig: { "max.message.bytes": "4000000" } }, async (place) => {
    const sent = await place.publisher.send<Intended>([
      reading("a", T, 70),
      bad("tombstone", null, { key: "a" }),
      bad("empty_value", bytes(), { key: bytes(0, 255, 1) }),
      bad("invalid_utf8", bytes(0x7b, 0xff, 0x7d), { key: bytes() }),
      bad("invalid_json", "{", { key: null }),
      bad("invalid_json", bytes(0), { key: null }),
      bad("invalid_json", '{"customer_id":"a"} trailing', { key: null }),
      bad("not_an_object", "[1]", { key: null }),
      bad("not_an_object", "null", { key: null }),
      bad("missing_timestamp", { customer_id: "a", heart_rate: 1 }),
      bad("heart_rate_out_of_range", { customer_id: "a", timestamp: T, heart_rate: 221 }),
      // More than a fetch asks for.
      bad("invalid_json", new Uint8Array(2_000_000).fill(0x5b), { key: null }),
      reading("b", T, 70),
    ]);
    const consumer = await place.consumeAll();
    await accountFor(place, sent);
    const [tombstones] = await place.sql(
      "select count(*) from public.heartbeat_rejects where payload is null",
    );
    deepStrictEqual(tombstones, { count: "1" });
    strictEqual(consumer.events("record.rejected").length, 11);
  }),
);

Deno.test(
  "NUL bytes, lone surrogates and invalid UTF-8 in ids, keys and payloads never reach SQL, and their rejects are stored",
  onPlace({}, async (place) => {
    const withId = (id: string) => `{"customer_id":"${id}","timestamp":"${T}","heart_rate":70}`;
    const encoder = new TextEncoder();
    const invalid = (at: number, ...values: number[]) => {
      const value = encoder.encode(withId("abcdef"));
      value.set(values, at);
      return value;
    };
    const sent = await place.publisher.send<Intended>([
      reading("before", T, 70),
      bad("invalid_customer_id", withId("a\\u0000b"), { key: bytes(0) }),
      bad("invalid_customer_id", withId("\\ud800"), { key: bytes(0xed, 0xa0, 0x80) }),
      bad("invalid_customer_id", withId("\\udc00\\ud800"), { key: bytes(0xff, 0xfe) }),
      bad("invalid_json", `${withId("a")}\u0000`, { key: null }),
      // A surrogate, an overlong NUL, a byte that begins nothing, and a character that is cut short.
      bad("invalid_utf8", invalid(17, 0xed, 0xa0, 0x80), { key: null }),
      bad("invalid_utf8", invalid(17, 0xc0, 0x80), { key: null }),
      bad("invalid_utf8", invalid(17, 0xff), { key: null }),
      bad("invalid_utf8", invalid(17, 0xf0, 0x9f, 0xab), { key: null }),
      reading("🫀", T, 70),
    ]);
    const { env, take } = await logStatements(place);
    await place.consumeAll({ env });
    await accountFor(place, sent);
    const copies = (await take()).filter((statement) => /^copy public\.heartbeats /.test(statement));
    strictEqual(copies.length, 1, "PostgreSQL refused nothing");
  }),
);

Deno.test(
  "one row of 1,000, and of 8,000, that the database refuses costs statements that grow like log n, and no neighbour",
  onPlace({}, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    await place.sql("alter table public.heartbeats add constraint not_this check (heart_rate <> 99)");
    const { env, take } = await logStatements(place);
    const sent: Sent<Intended>[] = [];
    for (const count of [1_000, 8_000]) {
      const records = (prefix: string, refused: number | undefined) =>
        Array.from({ length: count }, (_, index): Intended => {
          const one = reading(`${prefix}-${count}-${index}`, T, index === refused ? 99 : 70);
          return index === refused ? { ...one, fate: { reject: "database_rejected" } } : one;
        });
      // What a batch's transaction is made of; how often the database is asked how it is depends on the machine.
      const isOfBatch = (statement: string) =>
        /^(begin|commit|.*savepoint|copy|insert|update)\b/.test(statement);
      const cost = async (batch: Intended[]) => {
        sent.push(...await place.publisher.send(batch, { inOneRequest: true }));
        await take();
        await place.consumeAll({ env });
        return (await take()).filter(isOfBatch).length;
      };
      const clean = await cost(records("clean", undefined));
      const refused = await cost(records("refused", Math.floor(count * 0.637)));
      // Each halving inserts two halves, each behind a savepoint: through a staging table that is five statements.
      const halvings = Math.ceil(Math.log2(count));
      ok(refused - clean <= 10 * (halvings + 1), `${refused - clean} extra statements for ${count} rows`);
    }
    const details = await place.sql<{ detail: string }>("select detail from public.heartbeat_rejects");
    for (const { detail } of details) {
      match(detail, /^PostgreSQL refused it: .*violates check constraint "not_this"/);
    }
    await accountFor(place, sent);
  }),
);

Deno.test(
  "a batch of which the database refuses every row gets on, in parts that fit an attempt",
  onPlace({}, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    // Each refusal takes its time, so that all of them take several attempts of this session on any machine.
    await place.sql(`
      create function refuse() returns trigger language plpgsql as $$
      begin
        perform pg_sleep(0.02);
        raise exception 'not this' using errcode = 'check_violation', constraint = 'not_this';
      end $$;
      create trigger refuse before insert on public.heartbeats for each row execute function refuse()`);
    const refused = Array.from({ length: 400 }, (_, index): Intended => {
      return { ...reading(`a-${index}`, T, 70), fate: { reject: "database_rejected" } };
    });
    const sent = await place.publisher.send(refused, { inOneRequest: true });
    const consumer = place.consumer({ env: QUICK_TAKEOVER });
    await place.caughtUp({ withinMs: 300_000 });
    ok(consumer.running, "it did not end itself");
    await accountFor(place, sent);
  }),
);
