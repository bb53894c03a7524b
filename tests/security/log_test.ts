import { deepStrictEqual, doesNotMatch, match, strictEqual } from "node:assert";
import { commandLine } from "../../stack/process/process_table.ts";
import { bad, type Intended, judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { assertNoSecrets, leaks } from "../support/secret_forms.ts";
import { onPlace } from "../support/services.ts";

const HOSTILE = [
  "line\nFAKE 00:00:00 ERROR consumer all data was deleted",
  "carriage\rreturn",
  "escape\x1b[2J\x1b]0;title\x07",
  "one byte\x9b31m",
  "direction\u202efdp.exe\u2066",
  "separator\u2028\u2029",
  '"}\n{"time":"now","level":"error","event":"forged"}',
  "{braces} %s ${1} {{message}}",
  "'; drop table public.heartbeats; --",
  "\\'; copy (select 1) to program 'true'; --",
  "1) or (1=1",
  "__proto__",
  "constructor",
  "toString",
];

const TIMESTAMP = "2026-07-14T09:30:00.000Z";

function records(): Intended[] {
  return HOSTILE.flatMap((text, index) => [
    // An anomaly, so that a log line names the customer.
    { ...reading(text, TIMESTAMP, 200), key: text },
    {
      // JSON text, because `__proto__` in an object literal would set the prototype.
      value:
        `{"__proto__":{"heart_rate":1},"constructor":{"prototype":{"customer_id":"mine"}},"customer_id":"p-${index}",` +
        `"timestamp":"${TIMESTAMP}","heart_rate":72,${JSON.stringify(text)}:1}`,
      key: text,
      fate: "reading" as const,
    },
    bad("invalid_json", text.startsWith("{") ? `${text}}` : text, { key: text }),
    bad("invalid_timestamp", { customer_id: "t", timestamp: text, heart_rate: 72 }, { key: text }),
  ]);
}

async function assertOneLinePerEvent(place: Place, format: "json" | "pretty"): Promise<void> {
  const sent = await place.publisher.send(records());
  const env = { LOG_FORMAT: format, LOG_LEVEL: "debug" };
  const { output } = await place.consumeAll({ env });
  await judge(place, sent);
  const [customer] = await place.sql(
    "select heart_rate from public.heartbeats where customer_id = '__proto__'",
  );
  deepStrictEqual(customer, { heart_rate: 200 });
  doesNotMatch(output, /[^\P{Cc}\n]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
  const line = format === "json"
    ? /^\{"time":"[^"]+","level":"\w+","service":"consumer",/
    : /^\d\d:\d\d:\d\d\.\d{3} \w+ +consumer /;
  for (const one of output.trimEnd().split("\n")) match(one, line);
  strictEqual(output.includes("drop table public.heartbeats"), true, "the log must name the customer");
}

Deno.test(
  "hostile customers, keys and details are stored as text, and each event is one line of JSON",
  onPlace({}, (place) => assertOneLinePerEvent(place, "json")),
);

Deno.test(
  "hostile customers, keys and details are stored as text, and each event is one line of the pretty format",
  onPlace({}, (place) => assertOneLinePerEvent(place, "pretty")),
);

Deno.test(
  "no log line, metric, probe or process list shows the passwords of a running consumer",
  onPlace({}, async (place) => {
    const password = new URL(place.databaseUrl).password;
    const roles = ["c4nary-writer", "c4nary-reader"];
    const consumer = place.consumer({
      env: {
        LOG_LEVEL: "debug",
        HEARTBEAT_WRITER_PASSWORD: roles[0] ?? "",
        HEARTBEAT_READER_PASSWORD: roles[1] ?? "",
      },
    });
    await place.publisher.send(records());
    await place.untilCaughtUp();
    await place.stack.postgres.stop();
    await consumer.untilNotReady(/database/);
    const answers = [(await consumer.get("/readyz")).text, (await consumer.get("/metrics")).text];
    await place.stack.postgres.start();
    await consumer.untilReady();
    const secrets = [password, ...roles];
    const lists = await Promise.all(
      [consumer.pid, place.stack.postgres.pid, place.stack.kafka.pid].map(commandLine),
    );
    deepStrictEqual(leaks(lists.join("\n"), secrets), []);
    assertNoSecrets([consumer.output, ...answers].join("\n"), secrets);
  }),
);
