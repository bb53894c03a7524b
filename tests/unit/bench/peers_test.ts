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

async function variablesOf(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(path);
  return [...new Set([...text.matchAll(/\bPEER_[A-Z_]+/g)].map(([name]) => name))].sort();
}

Deno.test("each peer gets exactly the variables that its configuration reads", async () => {
  for (const setting of ["throughput", "latency"] as const) {
    const run = { ...RUN, setting };
    assert.deepEqual(await variablesOf(TELEGRAF_CONFIG), Object.keys(telegrafVariables(run)).sort());
    assert.deepEqual(await variablesOf(PYTHON_CONSUMER), Object.keys(pythonVariables(run)).sort());
  }
});

Deno.test("Telegraf's limit of undelivered records is at most its buffer, so it drops none", () => {
  const { PEER_UNDELIVERED_RECORDS, PEER_BUFFER_RECORDS, PEER_BATCH_RECORDS } = telegrafVariables(RUN);
  assert.ok(Number(PEER_UNDELIVERED_RECORDS) >= Number(PEER_BATCH_RECORDS));
  assert.ok(Number(PEER_BUFFER_RECORDS) >= Number(PEER_UNDELIVERED_RECORDS));
});

Deno.test("each run of a peer has its own consumer group, so it reads the topic from the beginning", () => {
  assert.notEqual(telegrafVariables(RUN)["PEER_GROUP"], telegrafVariables(RUN)["PEER_GROUP"]);
  assert.notEqual(pythonVariables(RUN)["PEER_GROUP"], pythonVariables(RUN)["PEER_GROUP"]);
});

Deno.test("the Python packages have exact versions and hashes", async () => {
  const text = await Deno.readTextFile(PYTHON_REQUIREMENTS);
  const packages = text.replaceAll("\\\n", " ").split("\n").filter((line) => line !== "");
  assert.ok(packages.length > 0);
  const vague = packages.filter((line) => !/^[a-z-]+==\d[\w.]*( +--hash=sha256:[0-9a-f]{64})+$/.test(line));
  assert.deepEqual(vague, []);
});

Deno.test("referenceTable() refuses a name that SQL would have to quote", () => {
  assert.match(referenceTable("heartbeats_peer"), /primary key \(customer_id, ts\)/);
  for (const name of ["", "Heartbeats", "public.heartbeats", "x; drop table y", "x".repeat(60)]) {
    assert.throws(() => referenceTable(name), UsageError, name);
  }
});
