import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { pythonWithLibraries } from "../../bench/peers/python.ts";
import { installTool } from "../../stack/kafka/kafka_tools.ts";
import {
  addRecords,
  createRecordTable,
  decompress,
  readBatches,
} from "../../workers/_shared/kafka/batch_reader.ts";
import { kafkaConnection } from "../../workers/_shared/kafka/client.ts";
import { Fetcher } from "../../workers/_shared/kafka/fetcher.ts";
import { Sender } from "../../workers/_shared/kafka/sender.ts";
import { describeTopic } from "../../workers/_shared/kafka/topic.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";

// These tests notice if a new version of the client or of Kafka changes the record batch format. They need Python with venv.
const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
const SCRIPT = join(import.meta.dirname ?? ".", "..", "support", "librdkafka.py");

type Read = readonly [
  partition: number,
  offset: number,
  timestampMs: number,
  key: string | null,
  value: string | null,
];
interface Text {
  readonly key: string | null;
  readonly value: string | null;
}

function readings(prefix: string): Text[] {
  return Array.from({ length: 1_000 }, (_, index) => {
    const key = `${prefix}-${index % 10}`;
    const value = JSON.stringify({
      customer_id: key,
      timestamp: new Date(index).toISOString(),
      heart_rate: 72,
    });
    return { key, value };
  });
}

// The records have missing and empty keys and values, and lengths at which a varint becomes a byte longer.
const UNUSUAL: readonly Text[] = [
  { key: null, value: "keyless" },
  { key: "tombstone", value: null },
  { key: null, value: null },
  { key: "", value: "" },
  ...[63, 64, 8_191, 8_192].map((length) => ({ key: "k".repeat(length), value: "v".repeat(length) })),
];

const output = async (command: string, args: readonly string[], input = "") => {
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
  const { success, stdout, stderr } = await child.output();
  await written;
  ok(success, `${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
};

async function java(tool: string, args: readonly string[], input?: string): Promise<string> {
  const options = { signal: new AbortController().signal, onProgress: () => {} };
  const { command, args: first } = await installTool(tool, options);
  return await output(command, [...first, ...args], input);
}

async function librdkafka({ stack, topic }: Place, args: readonly string[], input?: string) {
  const [mode = "", ...more] = args;
  const all = ["-I", SCRIPT, mode, stack.kafkaBootstrapServers, topic, ...more];
  return await output(await pythonWithLibraries(), all, input);
}

async function readByLibrdkafka(place: Place, partitions: number): Promise<Read[]> {
  const lines = await librdkafka(place, ["consume", String(partitions)]);
  return lines.trim().split("\n").map((line) => JSON.parse(line));
}

const connectionTo = ({ stack, topic }: Place) =>
  kafkaConnection("test", "contract", {
    KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers,
    KAFKA_TOPIC: topic,
  }, () => "");

Deno.test(
  "Kafka's DumpLogSegments and librdkafka read what the producer's batch writer compressed with each codec",
  onPlace({ partitions: CODECS.length }, async (place) => {
    await using sender = new Sender(connectionTo(place));
    const began = Date.now();
    const sent: Text[][] = CODECS.map((codec) => [...readings(codec), ...UNUSUAL]);
    for (const [partition, codec] of CODECS.entries()) {
      const records = (sent[partition] ?? []).map(({ key, value }) => ({
        key: key === null ? null : Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
      }));
      deepStrictEqual(await sender.send({ partition, records }, codec), { partition, firstOffset: 0n });
    }

    const read = await readByLibrdkafka(place, CODECS.length);
    const expected = sent.flatMap((records, partition) =>
      records.map(({ key, value }, offset) => [partition, offset, key, value])
    );
    deepStrictEqual(
      read.map(([partition, offset, _, key, value]) => [partition, offset, key, value]),
      expected,
    );
    ok(read.every(([, , timestampMs]) => timestampMs >= began && timestampMs <= Date.now()));

    const files = CODECS.map((_, partition) =>
      join(place.stack.home, "kafka", "data", `${place.topic}-${partition}`, `${"0".repeat(20)}.log`)
    );
    const dump = await java(
      "DumpLogSegments",
      ["--deep-iteration", "--print-data-log"]
        .concat("--files", files.join(",")),
    );
    const batches = [...dump.matchAll(/^baseOffset.* compresscodec: (\w+) .* isvalid: (\w+)$/gm)];
    deepStrictEqual(
      batches.map(([, codec, isValid]) => [codec, isValid]),
      CODECS.map((codec) => [codec, "true"]),
    );
    const inDump: Read[] = [];
    let partition = -1;
    const record =
      /^\| offset: (\d+) CreateTime: (\d+) keySize: (-?\d+) valueSize: (-?\d+) .*?headerKeys: \[\](.*)$/gm;
    for (const [, offset, timestampMs, keySize, valueSize, rest = ""] of dump.matchAll(record)) {
      if (offset === "0") partition++;
      const key = Number(keySize) < 0 ? null : rest.slice(" key: ".length).slice(0, Number(keySize));
      const value = Number(valueSize) < 0 ? null : rest.slice(rest.length - Number(valueSize));
      inDump.push([partition, Number(offset), Number(timestampMs), key, value]);
    }
    deepStrictEqual(inDump, read);
  }),
);

/** Reads all records of partition 0 as the consumer does. */
async function readByConsumer(place: Place): Promise<{ read: Read[]; compressions: Set<number> }> {
  const connection = connectionTo(place);
  await using sender = new Sender(connection);
  const topic = await describeTopic(sender.client, place.topic);
  const broker = topic?.brokers.get(topic.leaders[0] ?? -1);
  if (topic === undefined || broker === undefined) throw new TypeError("the topic has no leader");
  await using fetcher = new Fetcher(connection, sender.client);
  const read: Read[] = [];
  const compressions = new Set<number>();
  const [end = 0] = await place.ends();
  while (read.length < end) {
    const target = {
      partition: 0,
      offset: read.length,
      lastEpoch: -1,
      requiredEpoch: -1,
      maxBytes: 100_000_000,
    };
    const answer = await fetcher.fetch(broker, topic.id, [target], { maxWaitMs: 100, maxBytes: 100_000_000 });
    for (const { errorCode, records: bytes } of answer.partitions) {
      strictEqual(errorCode, 0);
      for (const batch of readBatches(bytes)) {
        const plain = decompress(batch, bytes);
        const table = createRecordTable(batch, plain.bytes);
        ok(addRecords(table, batch, plain, { from: read.length, onRecord: () => {} }));
        compressions.add(batch.compression);
        for (let row = 0; row < table.length; row++) {
          const { offset, timestampMs, key, value } = table.record(row);
          read.push([0, offset, timestampMs, key?.toString() ?? null, value?.toString() ?? null]);
        }
      }
    }
  }
  return { read, compressions };
}

Deno.test(
  "the batch reader reads what Kafka's console producer and librdkafka wrote with each codec",
  onPlace({ topicConfig: { "retention.ms": "-1" } }, async (place) => {
    const sent: Text[] = [];
    const timestampMs = Date.UTC(2026, 6, 14);
    for (const codec of CODECS) {
      const fromLibrdkafka = [...readings(`librdkafka-${codec}`), ...UNUSUAL];
      const lines = fromLibrdkafka.map((one) => JSON.stringify({ ...one, timestampMs })).join("\n");
      await librdkafka(place, ["produce", codec], lines);
      const fromJava = [...readings(`java-${codec}`), { key: "tombstone", value: null }];
      const text = fromJava.map(({ key, value }) => `${key}\t${value ?? "NULL"}\n`).join("");
      const properties = ["parse.key=true", "key.separator=\t", "null.marker=NULL"];
      await java("ConsoleProducer", [
        ...["--bootstrap-server", place.stack.kafkaBootstrapServers, "--topic", place.topic],
        ...["--compression-codec", codec, "--request-required-acks", "all"],
        ...properties.flatMap((one) => ["--reader-property", one]),
      ], text);
      sent.push(...fromLibrdkafka, ...fromJava);
    }
    const { read, compressions } = await readByConsumer(place);
    deepStrictEqual(
      read.map(([, offset, , key, value]) => [offset, key, value]),
      sent.map(({ key, value }, offset) => [offset, key, value]),
    );
    deepStrictEqual(read, await readByLibrdkafka(place, 1));
    strictEqual(
      read.filter(([, , at]) => at === timestampMs).length,
      CODECS.length * (1_000 + UNUSUAL.length),
    );
    deepStrictEqual([...compressions].sort(), [0, 1, 2, 3, 4]);
  }),
);
