import assert from "node:assert/strict";
import { parseSettings, settingInfo } from "../../workers/_shared/env.ts";
import { CONSUMER_SETTINGS } from "../../workers/consumer/config.ts";
import { ROLE_SETTINGS } from "../../workers/consumer/schema/roles.ts";

async function example(): Promise<Map<string, string>> {
  const text = await Deno.readTextFile(new URL("../../.env.example", import.meta.url));
  const lines = text.split("\n").filter((line) => /^[A-Z]/.test(line));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

/** Excludes the passwords of Kafka, which docker-compose.yml does not require. */
function isPassword(name: string): boolean {
  return name.endsWith("_PASSWORD") && !name.startsWith("KAFKA_");
}

/** Variables that `deno task up` and `deno task stack` read. */
const STACK_VARIABLES = ["KAFKA_PORT", "POSTGRES_PORT"];

/** Variables that Docker Compose itself reads. */
const DOCKER_COMPOSE_VARIABLES = ["COMPOSE_PROFILES"];

async function composeVariables(): Promise<string[]> {
  const text = await Deno.readTextFile(new URL("../../docker-compose.yml", import.meta.url));
  return [...text.matchAll(/(?<!\$)\$\{?([A-Z_]+)/g)].map(([, name]) => name ?? "");
}

Deno.test(".env.example contains exactly the variables that the programs and compose read", async () => {
  const read = new Set([
    ...Object.keys(CONSUMER_SETTINGS),
    ...STACK_VARIABLES,
    ...DOCKER_COMPOSE_VARIABLES,
    ...await composeVariables(),
  ]);
  assert.deepEqual([...(await example()).keys()].sort(), [...read].sort());
});

Deno.test(".env.example gives each variable the default of the consumer", async () => {
  for (const [name, value] of await example()) {
    const schema = (CONSUMER_SETTINGS as Record<string, Parameters<typeof settingInfo>[0]>)[name];
    if (schema !== undefined && !isPassword(name)) {
      assert.equal(value, settingInfo(schema).default ?? "", name);
    }
  }
});

Deno.test(".env.example has a valid example of each password that compose requires, and tells the reader to change it", async () => {
  const passwords = [...await example()].filter(([name]) => isPassword(name));
  assert.equal(passwords.length, 6);
  for (const [name, value] of passwords) assert.match(value, /^change-me-[a-z]+$/, name);
  assert.equal(new Set(passwords.map(([, value]) => value)).size, 6, "two passwords are equal");
  const settings = parseSettings("consumer", ROLE_SETTINGS, Object.fromEntries(passwords));
  assert.notEqual(settings.HEARTBEAT_WRITER_PASSWORD, undefined);
});
