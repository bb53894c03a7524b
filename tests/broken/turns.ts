/** When a batch is written, what it takes along, and with whom. */
import { type BrokenBuild, edit } from "./broken_build.ts";

const OPEN = "tests/unit/consumer/open_batch_test.ts";
const TURNS = "tests/unit/consumer/shared_turns_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "a batch is closed when it asks for its turn",
    edits: [edit("partition.ts", "close: () => batch = this.#withWhatCame(batch),", "close: () => batch,")],
    test: {
      file: OPEN,
      name: "a batch takes what comes until it is closed, and the next one what comes later",
    },
  },
  {
    breaks: "whatever waits joins a batch, wherever it is from",
    edits: [
      edit("partition.ts", "this.#waiting[0]?.from === batch.next ? this.#waiting : []", "this.#waiting"),
    ],
    test: { file: OPEN, name: "what was fetched anew from elsewhere does not join a batch" },
  },
  {
    breaks: "a turn follows the one before at once, however little there is to write",
    edits: [edit("shared_turns.ts", "this.#lastBegun + this.#betweenTurnsMs", "this.#lastBegun")],
    test: {
      file: TURNS,
      name:
        "with little to write, a turn does not follow the one before at once, and takes what came meanwhile",
    },
  },
];
