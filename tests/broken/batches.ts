/** Batches as they come from Kafka: damaged, unreadable, or far larger in memory than in the log. */
import { type BrokenBuild, edit, noticedBy } from "./broken_build.ts";

const COPY = "tests/unit/consumer/store/copy_test.ts";
const FETCH_LOOP = "tests/unit/consumer/fetch/fetch_loop_test.ts";
const INFLATE = "tests/unit/_shared/kafka/inflate_test.ts";
const PARTITION = "tests/unit/consumer/kafka_partition/partition_test.ts";
const UNREADABLE = "tests/unit/consumer/kafka_partition/unreadable_test.ts";
const DELTAS = "tests/unit/consumer/kafka_partition/offset_deltas_test.ts";
const DECOMPRESS = "tests/unit/_shared/kafka/decompress_test.ts";
const SHARED = "partitions ask for no more while together they hold too much, waiting or being written";
const APART = "while a batch cannot be read its partition is asked for now and then, and the others at once";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "lz4 is decompressed whatever it becomes",
    edits: [edit("_shared/kafka/lz4.ts", "if (length > most) return undefined;", "")],
    test: { file: DECOMPRESS, name: "decompress() gives 32 MB of lz4, and refuses a byte more" },
  },
  {
    breaks: "of the blocks that the Java client writes the first is taken for the length of all",
    edits: [
      edit(
        "_shared/kafka/snappy.ts",
        "sum += followBlock(bytes, from, end, unpacked);",
        "sum ||= followBlock(bytes, from, end, unpacked);",
      ),
    ],
    test: {
      file: DECOMPRESS,
      name: "decompress() counts all blocks of snappy as the Java client writes it",
    },
  },
  {
    breaks: "lz4 makes a buffer for each block, and holds them all",
    edits: [
      edit(
        "_shared/kafka/lz4.ts",
        "for (let sum = 0;;) {",
        "const held: Buffer[] = [];\n  for (let sum = 0;;) {",
      ),
      edit(
        "_shared/kafka/lz4.ts",
        "at = end + checksumBytes;",
        "held.push(frame.subarray(from, end));\n    at = end + checksumBytes;",
      ),
      edit(
        "_shared/kafka/lz4.ts",
        "if (size === 0) return sum;",
        "if (size === 0) return held.length < 0 ? 0 : sum;",
      ),
    ],
    test: {
      file: DECOMPRESS,
      name: "a block for each byte, and blocks of nothing, are unpacked without memory for each",
    },
  },
  {
    breaks: "a repeat that overlaps what it makes is copied as if it did not",
    edits: [edit("_shared/kafka/unpacked.ts", "length >= LONG && distance >= length", "length >= LONG")],
    test: {
      file: DECOMPRESS,
      name:
        "unpackLz4() and unpackSnappy() give what the client's codecs were given, of the length told before",
    },
  },
  {
    breaks: "a codec's failure does not say which batch it was",
    edits: [
      edit(
        "_shared/kafka/record_batch.ts",
        "    throw new RangeError(`the batch at offset ${batch.firstOffset} cannot",
        "    throw new RangeError(`a batch cannot",
      ),
    ],
    test: { file: DECOMPRESS, name: "decompress() names the offset of a batch that its codec cannot read" },
  },
  {
    breaks: "a batch's checksum is not compared",
    edits: [edit("consumer/kafka_partition/slice.ts", "    verify(batch, sent);\n", "")],
    test: {
      file: UNREADABLE,
      name: "a flipped bit anywhere in a batch is noticed: a heart rate of 72 is never stored as 32",
    },
  },
  {
    breaks: "what lies before a batch that cannot be read waits for it",
    edits: [
      edit("consumer/kafka_partition/slice.ts", "if (slice.next === from) throw error;", "throw error;"),
    ],
    test: {
      file: UNREADABLE,
      name: "what lies before a batch that cannot be read is taken, and the batch is named by the next fetch",
    },
  },
  {
    breaks: "how a producer numbered the records of a batch is believed",
    edits: [edit("_shared/kafka/record_batch.ts", "isWhole ? batch.firstOffset + index : stated", "stated")],
    test: noticedBy(
      "offset_deltas",
      "a record that says it is far ahead costs nothing of what comes behind it",
    ),
  },
  {
    breaks: "the number of a record that is the same as another's is believed",
    edits: [edit("_shared/kafka/record_batch.ts", "isWhole ? batch.firstOffset + index : stated", "stated")],
    test: {
      file: DELTAS,
      name: "of any batches either nothing is read, or records and gaps are every offset once",
    },
  },
  {
    breaks: "what is left of a compacted batch is taken whatever its offsets are",
    edits: [edit("_shared/kafka/record_batch.ts", "if (!isWhole) checkOffsets(batch, plain);", "")],
    test: {
      file: DELTAS,
      name: "of a batch that compaction took records of, offsets that cannot be are not believed",
    },
  },
  {
    breaks: "a batch may have more records than offsets",
    edits: [
      edit(
        "_shared/kafka/record_batch.ts",
        "offsets < 1 || batch.count < 0 || batch.count > offsets",
        "offsets < -1e9",
      ),
    ],
    test: { file: DELTAS, name: "a batch with fewer offsets than records, or none, cannot be read" },
  },
  {
    breaks: "a record may reach into the batch behind its own",
    edits: [edit("_shared/kafka/record_batch.ts", "end <= plain.end &&", "end <= table.bytes.length &&")],
    test: {
      file: DELTAS,
      name:
        "a batch that says it has more records than it has, or a longer one, is never read on into the next",
    },
  },
  {
    breaks: "batches that overlap are read one after the other",
    edits: [
      edit(
        "consumer/kafka_partition/slice.ts",
        "if (slice.next > from && first < slice.next) return false;",
        "",
      ),
    ],
    test: {
      file: DELTAS,
      name: "a batch that begins before the end of the one in front of it is left to the next fetch",
    },
  },
  {
    breaks: "records and gaps are not added up before they are written",
    edits: [
      edit(
        "consumer/kafka_partition/slice.ts",
        "records.length + gone !== this.next - this.from",
        "records.length + gone < 0",
      ),
    ],
    test: {
      file: DELTAS,
      name: "what does not add up is our own mistake, and said so before the database is asked",
    },
  },
  {
    breaks: "an answer is decompressed as a whole",
    edits: [
      edit(
        "consumer/kafka_partition/slice.ts",
        "return decompressed < MOST_DECOMPRESSED_BYTES;",
        "return true;",
      ),
    ],
    test: { file: UNREADABLE, name: "an answer of many dense batches is not decompressed as a whole" },
  },
  {
    breaks: "a batch's table has room for as many records as it says",
    edits: [
      edit(
        "_shared/kafka/record_batch.ts",
        "Math.min(countIn(batch, bytes.length), MOST_RECORDS_AT_ONCE)",
        "countIn(batch, bytes.length)",
      ),
    ],
    test: { file: UNREADABLE, name: "a batch of more records than memory has room for is read in parts" },
  },
  {
    breaks: "a batch has as many bytes as its records have",
    edits: [edit("consumer/kafka_partition/partition.ts", "whole.bytes > batchBytes ?", "whole.bytes < 0 ?")],
    test: {
      file: "tests/unit/consumer/kafka_partition/partition_test.ts",
      name: "a partition writes no more bytes in a batch than its limit, unless one record alone has more",
    },
  },
  {
    breaks: "rows are put together as a whole before they are sent",
    edits: [
      edit(
        "consumer/store/copy.ts",
        "if (writer.length < PIECE_BYTES) continue;",
        "if (index >= 0) continue;",
      ),
    ],
    test: {
      file: COPY,
      name: "copyInto() has no second copy of large values, and no more than a few megabytes in hand",
    },
  },
  {
    breaks: "large values are copied once more before they are sent",
    edits: [
      edit(
        "consumer/store/binary_writer.ts",
        "if (value.length >= LARGE_BYTES) return this.#refer(value);",
        "",
      ),
    ],
    test: {
      file: COPY,
      name: "copyInto() has no second copy of large values, and no more than a few megabytes in hand",
    },
  },
  {
    breaks: "each partition has room of its own, however many there are",
    edits: [
      edit(
        "consumer/kafka_partition/partition.ts",
        "this.#waitingBytes < bufferBytes && !room.isFull;",
        "this.#waitingBytes < bufferBytes;",
      ),
    ],
    test: { file: PARTITION, name: SHARED },
  },
  {
    breaks: "what is being written is not counted as held",
    edits: [
      edit(
        "consumer/kafka_partition/partition.ts",
        "    this.#waitingBytes -= batch.bytes;\n",
        "    this.#waitingBytes -= batch.bytes;\n    this.#limits.room.give(batch.bytes);\n",
      ),
      edit(
        "consumer/kafka_partition/partition.ts",
        "    } finally {\n      this.#limits.room.give(batch.bytes);\n    }",
        "    } finally {\n      // Given already.\n    }",
      ),
    ],
    test: { file: PARTITION, name: SHARED },
  },
  {
    breaks: "who closes or moves away keeps its room",
    edits: [edit("consumer/kafka_partition/partition.ts", "this.#limits.room.give(this.#waitingBytes);", "")],
    test: { file: PARTITION, name: SHARED },
  },
  {
    breaks: "an answer is taken as a whole, however dense it is",
    edits: [
      edit(
        "consumer/fetch/fetch_loop.ts",
        "if (taken >= ANSWER_MEMORY_BYTES && response.records.length > 0) continue;",
        "",
      ),
    ],
    test: {
      file: FETCH_LOOP,
      name:
        "of an answer that is far denser than was foreseen the rest is asked for again, when there is room",
    },
  },
  {
    breaks: "a batch that cannot be read is asked for, and decompressed, again and again",
    edits: [edit("consumer/kafka_partition/unreadable.ts", "backoffMs(++this.#tries)", "0 * ++this.#tries")],
    test: { file: FETCH_LOOP, name: APART },
  },
  {
    breaks: "a batch that cannot be read holds all of its broker's partitions up",
    edits: [
      edit(
        "consumer/fetch/fetch_loop.ts",
        "const [led, left] = askableOf(partitionsLedBy(node, ports));",
        "const [led, left] = askableOf(partitionsLedBy(node, ports));\n    if (left.length > 0) await sleep(left[0]?.pauseMs ?? 0, { signal });",
      ),
    ],
    test: { file: FETCH_LOOP, name: APART },
  },
  {
    breaks: "what gzip states of its length is its limit",
    edits: [
      edit(
        "_shared/kafka/inflate.ts",
        "for (const piece of [...guesses, most]) {",
        "for (const piece of guesses) {",
      ),
    ],
    test: { file: INFLATE, name: "a stated length that is wrong changes nothing of what comes out" },
  },
  {
    breaks: "a small batch keeps a large piece of memory",
    edits: [
      edit(
        "_shared/kafka/inflate.ts",
        "unpacked.buffer.byteLength > unpacked.length * MOST_SLACK ?",
        "unpacked.length < 0 ?",
      ),
    ],
    test: { file: INFLATE, name: "what was unpacked keeps no more than a few times its memory alive" },
  },
  {
    breaks: "dense batches of all partitions are decompressed and held at once",
    edits: [
      edit(
        "consumer/fetch/fetch_loop.ts",
        "if (taken >= ANSWER_MEMORY_BYTES && response.records.length > 0) continue;",
        "",
      ),
      edit("consumer/consume.ts", "const ROOM_BYTES = 24 * 1024 * 1024;", "const ROOM_BYTES = Infinity;"),
    ],
    test: noticedBy(
      "dense_batches",
      "batches of 30 MB in a few kilobytes, of every codec at once, are read in less than 256 MB",
    ),
  },
];
