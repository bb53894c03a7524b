/** When a batch is written, what it takes along, and with whom. */
import { type BrokenBuild, edit } from "./broken_build.ts";

const OPEN = "tests/unit/consumer/kafka_partition/open_batch_test.ts";
const TURNS = "tests/unit/consumer/store/shared_turns_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "a batch is closed when it asks for its turn",
    edits: [
      edit(
        "consumer/kafka_partition/partition.ts",
        "close: () => batch = this.#withWhatCame(batch),",
        "close: () => batch,",
      ),
    ],
    test: {
      file: OPEN,
      name: "a batch takes what comes until it is closed, and the next one what comes later",
    },
  },
  {
    breaks: "whatever waits joins a batch, wherever it is from",
    edits: [
      edit(
        "consumer/kafka_partition/partition.ts",
        "this.#waiting[0]?.from === batch.next ? this.#waiting : []",
        "this.#waiting",
      ),
    ],
    test: { file: OPEN, name: "what was fetched anew from elsewhere does not join a batch" },
  },
  {
    breaks: "what an attempt would write is counted when it asks for its turn",
    edits: [
      edit(
        "consumer/store/shared_turns.ts",
        "this.#queue.push({ records, since",
        "const counted = records();\n    this.#queue.push({ records: () => counted, since",
      ),
    ],
    test: {
      file: TURNS,
      name: "what an attempt would write is counted when a turn begins, not when it was asked for",
    },
  },
  {
    breaks: "a batch is closed again for each try",
    edits: [edit("consumer/store/process_batch.ts", "whole ??= batch.close()", "whole = batch.close()")],
    test: {
      file: "tests/unit/consumer/store/process_batch_test.ts",
      name: "processBatch() writes a part of a batch whose refused readings take longer than an attempt may",
    },
  },
  {
    breaks: "of what joined a batch the room is never given back",
    edits: [
      edit(
        "consumer/kafka_partition/partition.ts",
        "      this.#limits.room.give(batch.bytes);\n    }",
        "      this.#limits.room.give(begun.bytes);\n    }",
      ),
    ],
    test: {
      file: OPEN,
      name: "what joins a batch is held until the batch is written, and makes room in the buffer at once",
    },
  },
  {
    breaks: "a turn follows the one before at once, however little there is to write",
    edits: [
      edit("consumer/store/shared_turns.ts", "this.#lastBegun + this.#betweenTurnsMs", "this.#lastBegun"),
    ],
    test: {
      file: TURNS,
      name:
        "with little to write, a turn does not follow the one before at once, and takes what came meanwhile",
    },
  },
];
