import assert from "node:assert/strict";
import { settingInfo } from "../../workers/_shared/env.ts";
import { CONSUMER_SETTINGS } from "../../workers/consumer/config.ts";

/** NAME=value lines, comments left out. */
async function example(): Promise<Map<string, string>> {
  const text = await Deno.readTextFile(new URL("../../.env.example", import.meta.url));
  const lines = text.split("\n").filter((line) => /^[A-Z]/.test(line));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

/** What `up` and `stack` read beside the workers' settings. */
const STACK_VARIABLES = ["KAFKA_PORT", "POSTGRES_PORT"];

Deno.test(".env.example names every variable that is read, and no other", async () => {
  const read = [...Object.keys(CONSUMER_SETTINGS), ...STACK_VARIABLES];
  assert.deepEqual([...(await example()).keys()].sort(), read.sort());
});

Deno.test(".env.example gives each variable the default that the program has", async () => {
  for (const [name, value] of await example()) {
    const schema = (CONSUMER_SETTINGS as Record<string, Parameters<typeof settingInfo>[0]>)[name];
    if (schema !== undefined) assert.equal(value, settingInfo(schema).default ?? "", name);
  }
});

Deno.test("the consumer may read exactly the variables that it has settings for", async () => {
  const config = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const files = Object.entries(CONSUMER_SETTINGS).filter(([, schema]) => settingInfo(schema).secret);
  const expected = [...Object.keys(CONSUMER_SETTINGS), ...files.map(([name]) => `${name}_FILE`)];
  assert.deepEqual([...config.permissions.consumer.env.allow].sort(), expected.sort());
});
