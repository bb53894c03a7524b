import { deepStrictEqual, strictEqual } from "node:assert";
import { bad, type Intended, reading } from "../../support/judge.ts";
import { onPlace } from "../../support/services.ts";
import { logStatements } from "../../support/statements.ts";
import { accountFor } from "../account.ts";

const T = "2026-07-14T09:30:00Z";

function bytes(...values: number[]): Uint8Array {
  return new Uint8Array(values);
}

Deno.test(
  "each bad record becomes one reject with its exact bytes, and the records around it are stored",
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
      // The value is larger than the limit of a fetch for one partition.
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
    const invalid = (position: number, ...values: number[]) => {
      const value = encoder.encode(withId("abcdef"));
      value.set(values, position);
      return value;
    };
    const sent = await place.publisher.send<Intended>([
      reading("before", T, 70),
      bad("invalid_customer_id", withId("a\\u0000b"), { key: bytes(0) }),
      bad("invalid_customer_id", withId("\\ud800"), { key: bytes(0xed, 0xa0, 0x80) }),
      bad("invalid_customer_id", withId("\\udc00\\ud800"), { key: bytes(0xff, 0xfe) }),
      bad("invalid_json", `${withId("a")}\u0000`, { key: null }),
      // These are a surrogate, an overlong NUL, an impossible byte, and an incomplete character.
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
    strictEqual(copies.length, 1, "a second COPY means that PostgreSQL refused a row");
  }),
);
