import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { anyText } from "../property.ts";
import { customerText, withBadBytes } from "./customers.ts";
import { instantText } from "./instants.ts";
import { numberSource } from "./numbers.ts";
import { type Members, spellString, writeObject } from "./spelling.ts";

/** The outcome that follows from the way a record was made, independently of the oracle. */
export type KnownOutcome = { readonly customerId: string; readonly heartRate: number } | {
  readonly reject: string;
};

export interface Hostile {
  readonly family: string;
  readonly value: Uint8Array | null;
  readonly known?: KnownOutcome;
}

const DEEP = 100_000;
// Below the default limit of a broker for a record batch (about 1 MiB), key and framing included.
const HUGE = 1_000_000;

// These are names that every object inherits, names of the record's members, and similar names.
const EXTRA_NAMES = [
  "__proto__,constructor,toString,hasOwnProperty,,customer_id,heart_rate,timestamp",
  "Customer_ID,customer_id ,customer\u0000_id,customer\u0131d,heart-rate,heartRate,length,toJSON",
].flatMap((line) => line.split(","));

/**
 * @param nowMs the consumer's clock, milliseconds since the Unix epoch
 * @param weightOfLarge number of deep or huge records among about 2,000; they take most of the time
 */
// deno-lint-ignore house/max-function-lines -- a table of families and what they are made of
export function hostileRecord(nowMs: number, weightOfLarge = 1): fc.Arbitrary<Hostile> {
  const choices = fc.nat({ max: 0x7fffffff });
  const instant = instantText(nowMs);
  const pastInstant = fc.integer({ min: 1, max: 40_000_000 }).map((s) =>
    new Date(nowMs - s * 1000).toISOString()
  );
  const customer = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(customerText, choices).map(([text, how]) => spellString(text, how)) },
    { weight: 1, arbitrary: numberSource },
  );
  const rate = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 28, max: 222 }).map(String) }, {
    weight: 2,
    arbitrary: numberSource,
  });
  const otherValue = fc.oneof(
    fc.json({ maxDepth: 2 }),
    fc.constantFrom("null", "true", "[]", "{}", '""', '{"heart_rate":72}', "[72]", '"72"'),
  );
  const goodMembers: fc.Arbitrary<Members> = fc.record({
    id: fc.integer({ min: 0, max: 50_000 }),
    at: pastInstant,
    rate: fc.integer({ min: 30, max: 220 }),
  }).map((
    { id, at, rate },
  ) => [["customer_id", `"c-${id}"`], ["timestamp", `"${at}"`], ["heart_rate", `${rate}`]]);
  const good = goodMembers.chain((members) =>
    writeObject(members).map((json) => ({
      json,
      made: { customerId: textOf(members, 0), heartRate: Number(members[2]?.[1]) },
    }))
  );
  const goodJson = good.map(({ json }) => json);
  const anyMembers: fc.Arbitrary<Members> = fc.tuple(
    fc.oneof({ weight: 6, arbitrary: customer }, { weight: 1, arbitrary: otherValue }),
    fc.oneof({
      weight: 6,
      arbitrary: fc.tuple(instant, choices).map(([text, how]) => spellString(text, how)),
    }, {
      weight: 1,
      arbitrary: otherValue,
    }),
    fc.oneof({ weight: 6, arbitrary: rate }, { weight: 1, arbitrary: otherValue }),
  ).map(([id, at, bpm]) => [["customer_id", id], ["timestamp", at], ["heart_rate", bpm]]);
  const extra = fc.tuple(
    fc.oneof(
      fc.constantFrom(...EXTRA_NAMES),
      anyText(8),
    ),
    fc.oneof(otherValue, numberSource, customer),
  );

  const families: readonly (readonly [weight: number, family: string, fc.Arbitrary<Uint8Array | null>])[] = [
    [4, "any bytes", fc.uint8Array({ maxLength: 200 })],
    [2, "any text", anyText(60).map((text) => bytes(text))],
    [
      6,
      "truncated",
      fc.tuple(goodJson, fc.nat()).map(([json, at]) => {
        const whole = bytes(json);
        return whole.subarray(0, at % (whole.length + 1));
      }),
    ],
    [10, "mutated", fc.tuple(goodJson, mutations).map(([json, edits]) => mutate(bytes(json), edits))],
    [6, "other JSON", fc.json({ maxDepth: 4 }).map(bytes)],
    [30, "any members", anyMembers.chain(writeObject).map(bytes)],
    [
      8,
      "a member short",
      fc.tuple(anyMembers, fc.nat({ max: 2 })).chain(([all, gone]) =>
        writeObject(all.filter((_, at) => at !== gone))
      ).map(bytes),
    ],
    [
      15,
      "extra and repeated members",
      fc.tuple(anyMembers, fc.array(extra, { maxLength: 4 }), fc.nat({ max: 7 }))
        .chain(([all, more, at]) => {
          const extras = more.map(([name, source]) => [name, source] as const);
          return writeObject([...extras.slice(0, at), ...all, ...extras.slice(at)]);
        }).map(bytes),
    ],
    [8, "bad UTF-8", goodJson.chain(withBadBytes)],
    [
      3,
      "another encoding",
      goodJson.chain((json) =>
        fc.constantFrom<() => Uint8Array>(
          () => Buffer.from(json, "utf16le"),
          () => Buffer.from(`\ufeff${json}`, "utf16le"),
          () => gzipSync(json),
          () => bytes(Buffer.from(json).toString("base64")),
          () => bytes(JSON.stringify(json)),
          () => bytes(`[${json}]`),
          () => bytes(`${json}\n${json}`),
          () => bytes(`${json}\0`),
          () => bytes(`${json}//`),
          () => bytes(json.replaceAll('"', "'")),
          () => bytes(`\ufeff${json}`),
          () => bytes(`\ufeff\ufeff${json}`),
          // The header of a schema registry: a zero byte and a schema id.
          () => Buffer.concat([Buffer.of(0, 0, 0, 0, 7), Buffer.from(json)]),
        ).map((make) => make())
      ),
    ],
  ];
  return fc.oneof(
    ...families.map(([weight, family, values]) => ({
      weight: weight * 20,
      arbitrary: values.map((value): Hostile => ({ family, value })),
    })),
    {
      weight: 400,
      arbitrary: good.map(({ json, made }): Hostile => ({ family: "good", value: bytes(json), known: made })),
    },
    { weight: 200, arbitrary: repeatedReading(nowMs) },
    {
      weight: 20,
      arbitrary: fc.constantFrom<Hostile>(
        { family: "nothing", value: null, known: { reject: "tombstone" } },
        { family: "nothing", value: new Uint8Array(), known: { reject: "empty_value" } },
        { family: "nothing", value: bytes("\ufeff"), known: { reject: "invalid_json" } },
        { family: "nothing", value: bytes(" \n"), known: { reject: "invalid_json" } },
        { family: "nothing", value: bytes("\0"), known: { reject: "invalid_json" } },
      ),
    },
    {
      weight: weightOfLarge,
      arbitrary: good.chain(({ json, made }) => fc.constantFrom(...large(json, made))).map((make) => make()),
    },
  );
}

/** Makes readings of so few customers and instants that many are duplicates or conflicts. */
export function repeatedReading(nowMs: number): fc.Arbitrary<Hostile> {
  const dayMs = Math.floor(nowMs / 86_400_000) * 86_400_000 - 86_400_000;
  return fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 40 }), fc.integer({ min: 60, max: 62 })).map((
    [who, minute, rate],
  ) => ({
    family: "repeat",
    value: bytes(
      `{"customer_id":"twice-${who}","timestamp":"${
        new Date(dayMs + minute * 60_000).toISOString()
      }","heart_rate":${rate}}`,
    ),
    known: { customerId: `twice-${who}`, heartRate: rate },
  }));
}

// The values are functions, because each result is large and only a few are used.
function large(json: string, made: KnownOutcome): readonly (() => Hostile)[] {
  const inside = json.lastIndexOf("}");
  const withExtra = (source: string) => bytes(`${json.slice(0, inside)},"x":${source}${json.slice(inside)}`);
  const invalid = { reject: "invalid_json" };
  const other = { reject: "not_an_object" };
  return [
    () => ({ family: "deep", value: withExtra("[".repeat(DEEP) + "]".repeat(DEEP)), known: made }),
    () => ({ family: "deep", value: withExtra('{"x":'.repeat(DEEP) + "1" + "}".repeat(DEEP)), known: made }),
    () => ({ family: "deep", value: bytes("[".repeat(DEEP) + "]".repeat(DEEP)), known: other }),
    () => ({ family: "deep", value: bytes("[".repeat(HUGE)), known: invalid }),
    () => ({ family: "deep", value: bytes('{"customer_id":'.repeat(HUGE / 20)), known: invalid }),
    () => ({ family: "deep", value: withExtra('[{"x":'.repeat(DEEP) + "]}".repeat(DEEP)), known: invalid }),
    () => ({ family: "huge", value: withExtra(`"${"x".repeat(HUGE - json.length - 10)}"`), known: made }),
    () => ({ family: "huge", value: withExtra(`"${"\\u0000".repeat(HUGE / 8)}"`), known: made }),
    () => ({ family: "huge", value: withExtra("9".repeat(HUGE / 2)), known: made }),
    () => ({ family: "huge", value: withExtra(`[${"1,".repeat(HUGE / 4)}1]`), known: made }),
    () => ({
      family: "huge",
      value: bytes(`{"customer_id":"${"\u{1f493}".repeat(HUGE / 8)}"}`),
      known: { reject: "invalid_customer_id" },
    }),
    () => ({ family: "huge", value: new Uint8Array(HUGE), known: invalid }),
    () => ({ family: "huge", value: new Uint8Array(HUGE).fill(0xff), known: { reject: "invalid_utf8" } }),
    () => ({ family: "huge", value: bytes(`${" ".repeat(HUGE - json.length - 10)}${json}`), known: made }),
  ];
}

type Edit = readonly [kind: number, at: number, byte: number];

const mutations: fc.Arbitrary<readonly Edit[]> = fc.array(
  fc.tuple(
    fc.nat({ max: 3 }),
    fc.nat({ max: 400 }),
    fc.oneof(fc.constantFrom(...bytes('{}[]":,\\0-+.eEuTZ \n\t\0')), fc.nat({ max: 255 })),
  ),
  { minLength: 1, maxLength: 4 },
);

function mutate(whole: Uint8Array, edits: readonly Edit[]): Uint8Array {
  return edits.reduce((value, [kind, place, byte]) => {
    const at = place % Math.max(1, value.length);
    const rest = value.subarray(kind === 1 ? at : at + 1);
    if (kind === 2) return Buffer.concat([value.subarray(0, at), rest]);
    const put = kind === 3 ? (value[at] ?? 0) ^ 1 << byte % 8 : byte;
    return Buffer.concat([value.subarray(0, at), Uint8Array.of(put), rest]);
  }, whole);
}

function textOf(members: Members, at: number): string {
  return JSON.parse(members[at]?.[1] ?? "null");
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}
