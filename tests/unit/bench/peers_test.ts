import assert from "node:assert/strict";
import { type PeerRun } from "../../../bench/peers/mod.ts";
import { PYTHON_CONSUMER, PYTHON_REQUIREMENTS, pythonVariables } from "../../../bench/peers/python.ts";
import { referenceTable } from "../../../bench/peers/reference_table.ts";
import { TELEGRAF_CONFIG, telegrafVariables } from "../../../bench/peers/telegraf.ts";
import { UsageError } from "../../../workers/_shared/errors.ts";

const RUN: PeerRun = {
  bootstrapServers: "127.0.0.1:9092",
  topic: "heartbeats",
  databaseUrl: "postgres://user:password@127.0.0.1:5432/database",
  table: "heartbeats_peer",
  setting: "throughput",
};

async function asked(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(path);
  return [...new Set([...text.matchAll(/\bPEER_[A-Z_]+/g)].map(([name]) => name))].sort();
}

Deno.test("a peer is given every variable that it asks for, and no other", async () => {
  for (const setting of ["throughput", "latency"] as const) {
    const run = { ...RUN, setting };
    assert.deepEqual(await asked(TELEGRAF_CONFIG), Object.keys(telegrafVariables(run)).sort());
    assert.deepEqual(await asked(PYTHON_CONSUMER), Object.keys(pythonVariables(run)).sort());
  }
});

Deno.test("Telegraf may hold fewer records than would make it throw the oldest away", () => {
  const { PEER_UNDELIVERED_RECORDS, PEER_BUFFER_RECORDS, PEER_BATCH_RECORDS } = telegrafVariables(RUN);
  assert.ok(Number(PEER_UNDELIVERED_RECORDS) >= Number(PEER_BATCH_RECORDS));
  assert.ok(Number(PEER_BUFFER_RECORDS) >= Number(PEER_UNDELIVERED_RECORDS));
});

Deno.test("every run of a peer reads the topic from its beginning: its group is its own", () => {
  assert.notEqual(telegrafVariables(RUN)["PEER_GROUP"], telegrafVariables(RUN)["PEER_GROUP"]);
  assert.notEqual(pythonVariables(RUN)["PEER_GROUP"], pythonVariables(RUN)["PEER_GROUP"]);
});

Deno.test("Python's packages have exact versions and hashes", async () => {
  const text = await Deno.readTextFile(PYTHON_REQUIREMENTS);
  const packages = text.replaceAll("\\\n", " ").split("\n").filter((line) => line !== "");
  assert.ok(packages.length > 0);
  const vague = packages.filter((line) => !/^[a-z-]+==\d[\w.]*( +--hash=sha256:[0-9a-f]{64})+$/.test(line));
  assert.deepEqual(vague, []);
});

Deno.test("a table whose name would have to be quoted is refused", () => {
  assert.match(referenceTable("heartbeats_peer"), /primary key \(customer_id, ts\)/);
  for (const name of ["", "Heartbeats", "public.heartbeats", "x; drop table y", "x".repeat(60)]) {
    assert.throws(() => referenceTable(name), UsageError, name);
  }
});
