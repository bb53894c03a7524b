/** What has a bound: what a batch may become in memory, and how long a loop may stand still. */
import { type BrokenBuild, edit } from "./broken_build.ts";

const DECOMPRESS = "tests/unit/consumer/decompress_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "only snappy is asked for its length before it is decompressed",
    edits: [edit("record_batch.ts", "return compression === LZ4 ? lz4Length(records) : 0;", "return 0;")],
    test: { file: DECOMPRESS, name: "decompress() gives 128 MB of lz4, and refuses a byte more" },
  },
  {
    breaks: "of the blocks that the Java client writes the first is taken for the length of all",
    edits: [edit("decompressed_length.ts", "at = end;", "break;")],
    test: {
      file: DECOMPRESS,
      name: "decompress() counts all blocks of snappy as the Java client writes it",
    },
  },
  {
    breaks: "a length of fifteen and more goes on in one byte",
    edits: [
      edit("decompressed_length.ts", "byte === 255; length += byte", "byte > 0; length += byte, byte = 0"),
    ],
    test: {
      file: DECOMPRESS,
      name: "snappyLength() and lz4Length() are what comes out, whatever went in",
    },
  },
  {
    breaks: "an end that hangs hides why the process gave up",
    mode: 1,
    edits: [{
      file: "workers/_shared/lifecycle.ts",
      find: "failure === undefined ? EXIT.interrupted : report(failure, secrets)",
      replace: "EXIT.interrupted",
    }],
    test: {
      file: "tests/integration/lifecycle_test.ts",
      name: "a program that gave up and then hangs ends with 1, and says why before it says that it hung",
    },
  },
  {
    breaks: "two loops of one partition are watched as one",
    mode: 1,
    edits: [
      edit(
        "partition_ports.ts",
        "const loop = { name: `write partition ${log.partition}` };",
        "const loop = `write partition ${log.partition}`;",
      ),
    ],
    test: {
      file: "tests/unit/consumer/partition_ports_test.ts",
      name: "a partition that is given away leaves it to be seen that its successor's write hangs",
    },
  },
];
