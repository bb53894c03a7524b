import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert";
import type { Buffer } from "node:buffer";
import { Fleet, nameOf } from "../../../bench/lab/fleet.ts";
import { type LogShape, PreparedLog } from "../../../bench/lab/prepared_log.ts";
import {
  addRecords,
  createRecordTable,
  decompress,
  readBatches,
} from "../../../workers/_shared/kafka/batch_reader.ts";

const END_MS = Date.UTC(2026, 6, 14, 9, 30);

type Line = `${string},${string},${number}`;

const SHAPES: Record<string, LogShape> = {
  "many cycles": { customers: 100, intervalSeconds: 5, records: 25_000, partitions: 6, endMs: END_MS },
  "a partial cycle at the end": {
    customers: 1_000,
    intervalSeconds: 60,
    records: 3_456,
    partitions: 6,
    endMs: END_MS,
  },
  "fewer records than customers": {
    customers: 100_000,
    intervalSeconds: 5,
    records: 7_000,
    partitions: 3,
    endMs: END_MS,
  },
  "fewer customers than partitions": {
    customers: 4,
    intervalSeconds: 5,
    records: 100,
    partitions: 16,
    endMs: END_MS,
  },
};

/** @returns the lines of each partition, in the order of its log */
async function published(log: PreparedLog): Promise<Line[][]> {
  const partitions = Array.from({ length: log.partitions }, (): Line[] => []);
  const add = (partition: number, bytes: Buffer) => {
    for (const batch of readBatches(bytes)) {
      const plain = decompress(batch, bytes);
      const table = createRecordTable(batch, plain.bytes);
      addRecords(table, batch, plain, { from: 0, onRecord: () => {} });
      for (let index = 0; index < table.length; index++) {
        const { key, value } = table.record(index);
        const { customer_id, timestamp, heart_rate } = JSON.parse(String(value));
        strictEqual(String(key), customer_id);
        partitions[partition]?.push(`${customer_id},${timestamp},${heart_rate}`);
      }
    }
  };
  await log.publish({
    sendBatches: (batches) => {
      for (const [partition, bytes] of batches) add(partition, bytes);
      return Promise.resolve([]);
    },
  });
  return partitions;
}

async function copied(log: PreparedLog): Promise<Line[]> {
  const path = await Deno.makeTempFile();
  try {
    await log.writeCsv(path);
    return (await Deno.readTextFile(path)).trimEnd().split("\n") as Line[];
  } finally {
    await Deno.remove(path);
  }
}

const customerOf = (line: Line) => line.split(",")[0] ?? "";
const instantOf = (line: Line) => Date.parse(line.split(",")[1] ?? "");

for (const [name, shape] of Object.entries(SHAPES)) {
  Deno.test(`a prepared log with ${name} gives the same readings to Kafka and to a file, ordered by time`, async () => {
    const log = new PreparedLog(shape);
    const file = await copied(log);
    const partitions = await published(log);
    strictEqual(file.length, shape.records);
    strictEqual(new Set(file.map((line) => line.split(",", 2).join())).size, shape.records);
    deepStrictEqual(partitions.flat().sort(), file.toSorted());
    for (const lines of [file, ...partitions]) {
      const instants = lines.map(instantOf);
      deepStrictEqual(instants, instants.toSorted((a, b) => a - b));
    }
    partitions.forEach((lines, partition) => {
      for (const line of lines) {
        strictEqual(Number(customerOf(line).split("-")[1]) % shape.partitions, partition);
      }
    });
    const [from, end] = log.range;
    ok(from <= instantOf(file[0] as Line) && end === instantOf(file.at(-1) as Line) + 1 && end <= END_MS);
    const last = partitions.flatMap((lines) => lines.slice(-1)).map((
      line,
    ) => [customerOf(line), instantOf(line)]);
    deepStrictEqual(log.lastReadings.map(({ customer, at }) => [customer, at.getTime()]).sort(), last.sort());
  });
}

Deno.test("each customer of a Fleet reports once per interval, and the times do not follow the order of the ids", () => {
  const fleet = new Fleet(1_000, 5_000);
  const order = Array.from({ length: 3_000 }, (_, index) => fleet.reading(index, 0));
  for (let customer = 0; customer < 1_000; customer++) {
    const [first = NaN, ...others] = order.filter((reading) => reading.customer === customer).map(({ at }) =>
      at
    );
    ok(first >= 0 && first < 5_000, nameOf(customer));
    deepStrictEqual(others, [first + 5_000, first + 10_000]);
  }
  const later = order.slice(1, 1_000).filter(({ customer }, index) =>
    customer > (order[index]?.customer ?? NaN)
  );
  ok(
    later.length > 400 && later.length < 600,
    `${later.length} of 999 readings follow one of a lower customer`,
  );
});

Deno.test("a Fleet gives the same readings for the same seed, and different readings for another seed", () => {
  const order = (seed: number) => {
    const fleet = new Fleet(500, 5_000, seed);
    return Array.from({ length: 500 }, (_, index) => fleet.reading(index, 0));
  };
  deepStrictEqual(order(7), order(7));
  notDeepStrictEqual(order(7), order(8));
});
