/** Batches as they come from Kafka: damaged, unreadable, or far larger in memory than in the log. */
import { type BrokenBuild, edit } from "./broken_build.ts";

const COPY = "tests/unit/consumer/copy_test.ts";
const UNREADABLE = "tests/unit/consumer/unreadable_test.ts";
const DECOMPRESS = "tests/unit/consumer/decompress_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "lz4 is decompressed whatever it becomes",
    edits: [edit("lz4.ts", "if (length > most) return undefined;", "")],
    test: { file: DECOMPRESS, name: "decompress() gives 32 MB of lz4, and refuses a byte more" },
  },
  {
    breaks: "of the blocks that the Java client writes the first is taken for the length of all",
    edits: [
      edit(
        "snappy.ts",
        "const length = lengths.reduce((sum, one) => sum + one, 0);",
        "const [length = 0] = lengths;",
      ),
    ],
    test: {
      file: DECOMPRESS,
      name: "decompress() counts all blocks of snappy as the Java client writes it",
    },
  },
  {
    breaks: "a repeat that overlaps what it makes is copied as if it did not",
    edits: [edit("unpacked.ts", "length >= LONG && distance >= length", "length >= LONG")],
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
        "record_batch.ts",
        "    throw new RangeError(`the batch at offset ${batch.firstOffset} cannot",
        "    throw new RangeError(`a batch cannot",
      ),
    ],
    test: { file: DECOMPRESS, name: "decompress() names the offset of a batch that its codec cannot read" },
  },
  {
    breaks: "a batch's checksum is not compared",
    edits: [edit("slice.ts", "    verify(batch, sent);\n", "")],
    test: {
      file: UNREADABLE,
      name: "a flipped bit anywhere in a batch is noticed: a heart rate of 72 is never stored as 32",
    },
  },
  {
    breaks: "what lies before a batch that cannot be read waits for it",
    edits: [edit("slice.ts", "if (slice.next === from) throw error;", "throw error;")],
    test: {
      file: UNREADABLE,
      name: "what lies before a batch that cannot be read is taken, and the batch is named by the next fetch",
    },
  },
  {
    breaks: "an answer is decompressed as a whole",
    edits: [edit("slice.ts", "return decompressed < MOST_DECOMPRESSED_BYTES;", "return true;")],
    test: { file: UNREADABLE, name: "an answer of many dense batches is not decompressed as a whole" },
  },
  {
    breaks: "a batch's table has room for as many records as it says",
    edits: [
      edit(
        "record_batch.ts",
        "Math.min(countIn(batch, bytes.length), MOST_RECORDS_AT_ONCE)",
        "countIn(batch, bytes.length)",
      ),
    ],
    test: { file: UNREADABLE, name: "a batch of more records than memory has room for is read in parts" },
  },
  {
    breaks: "a batch has as many bytes as its records have",
    edits: [edit("partition.ts", "whole.bytes > batchBytes ?", "whole.bytes < 0 ?")],
    test: {
      file: "tests/unit/consumer/partition_test.ts",
      name: "a partition writes no more bytes in a batch than its limit, unless one record alone has more",
    },
  },
  {
    breaks: "rows are put together as a whole before they are sent",
    edits: [edit("copy.ts", "if (writer.length < PIECE_BYTES) continue;", "if (index >= 0) continue;")],
    test: {
      file: COPY,
      name: "copyInto() has no second copy of large values, and no more than a few megabytes in hand",
    },
  },
  {
    breaks: "large values are copied once more before they are sent",
    edits: [edit("binary_writer.ts", "if (value.length >= LARGE_BYTES) return this.#refer(value);", "")],
    test: {
      file: COPY,
      name: "copyInto() has no second copy of large values, and no more than a few megabytes in hand",
    },
  },
];
