/** What breaks the producer where it writes Kafka's bytes itself. */
import type { BrokenBuild } from "./broken_build.ts";

const BATCH = "tests/unit/producer/record_batch_test.ts";
const CLUSTER = "tests/faults/cluster_test.ts";
const PRODUCER = "tests/faults/producer_test.ts";
const PARTITIONER = "tests/unit/producer/partitioner_test.ts";
const READING = "tests/unit/producer/reading_writer_test.ts";
const RECORDING = "tests/unit/producer/recording_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "the producer writes a tombstone as an empty value",
    edits: [{
      file: "workers/producer/record_batch.ts",
      find: "value === null ? -1 : valueBytes",
      replace: "valueBytes",
    }],
    test: {
      file: BATCH,
      name: "encodeBatch() with none writes what is read as the same records, in their order",
    },
  },
  {
    breaks: "the codec's number is left out of a compressed batch",
    edits: [{
      file: "workers/producer/record_batch.ts",
      find: "compressionsAlgorithms[compression].bitmask, now",
      replace: "0, now",
    }],
    test: {
      file: BATCH,
      name: "encodeBatch() with lz4 writes what is read as the same records, in their order",
    },
  },
  {
    breaks: "a batch of more than 8,191 records has offsets of two bytes",
    edits: [{
      file: "workers/producer/record_batch.ts",
      find: "value < 0x2000 ? 2 : value < 0x10_0000 ? 3",
      replace: "value < 0x10_0000 ? 2",
    }],
    test: {
      file: BATCH,
      name: "encodeBatch() takes a batch of thousands of records, and one of several megabytes",
    },
  },
  {
    breaks:
      "the producer takes a negative hash for a large one, so that a customer's records are in two partitions",
    edits: [{
      file: "workers/producer/partitioner.ts",
      find: "(murmur2(key) & 0x7fffffff) % partitions",
      replace: "(murmur2(key) >>> 0) % partitions",
    }],
    test: { file: PARTITIONER, name: "partitionOf() puts a key where Java's client does" },
  },
  {
    breaks: "a reading gets the minute of the one before when both are in the same minute of an hour",
    edits: [{
      file: "workers/producer/reading_writer.ts",
      find: "if (minute !== this.#minute) {",
      replace: "if (minute % 60 !== this.#minute % 60) {",
    }],
    test: {
      file: READING,
      name: "ReadingWriter writes what encodeReading() gives, whatever it wrote before",
    },
  },
  {
    breaks: "a reading is written over one that is still to be sent",
    edits: [{
      file: "workers/producer/reading_writer.ts",
      find: "this.#bytes = Buffer.allocUnsafeSlow(Math.max(most, SHARED_BYTES));",
      replace:
        "if (this.#bytes.length < most) this.#bytes = Buffer.allocUnsafeSlow(Math.max(most, SHARED_BYTES));",
    }],
    test: {
      file: READING,
      name: "ReadingWriter keeps what it gave away, through more than its memory holds at a time",
    },
  },
  {
    breaks: "the last row of a recording without a line's end is lost",
    edits: [{
      file: "workers/producer/ndjson_rows.ts",
      find: "if (rest.length > 0) yield [Buffer.concat(rest)];",
      replace: "",
    }],
    test: {
      file: RECORDING,
      name: "readRecording() reads every row of a large ndjson with \\n, in order",
    },
  },
  {
    breaks: "the producer asks the leaders of its first look for ever",
    edits: [{
      file: "workers/producer/sender.ts",
      find: "if (this.#route === route) this.#route = undefined;",
      replace: "",
    }],
    test: {
      file: CLUSTER,
      name:
        "the leader of every partition is killed under load, one after the other: nothing acknowledged is lost",
    },
  },
  {
    breaks: "what was meant for a partition that is no more waits for it for ever",
    edits: [{
      file: "workers/producer/sender.ts",
      find: "const to = partition % topic.leaders.length;",
      replace: "const to = partition;",
    }],
    test: {
      file: PRODUCER,
      name:
        "a topic that is made again with fewer partitions: the producer goes on with those that there are",
    },
  },
];
