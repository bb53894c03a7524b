/** How long a loop may stand still, and what counts as lag that it leaves. */
import { type BrokenBuild, edit, noticedBy } from "./broken_build.ts";

const FETCH_LOOP = "tests/unit/consumer/fetch/fetch_loop_test.ts";
const SILENT_LOGS = "tests/unit/consumer/fetch/silent_logs_test.ts";
const EMPTY_ANSWERS = "tests/unit/consumer/kafka_partition/empty_answers_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
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
    breaks: "what waits for its write counts as nothing but its gaps",
    mode: 20,
    edits: [
      edit(
        "consumer/kafka_partition/slice.ts",
        ".reduce((sum, { memoryBytes }) => sum + memoryBytes,",
        ".reduce((sum) => sum,",
      ),
    ],
    test: noticedBy(
      "memory",
      "a backlog compressed with zstd is read in bounded memory, in batches of bounded length",
    ),
  },
  {
    breaks: "a worker is started with its permissions and without the rest of its task",
    edits: [{
      file: "stack/worker_task.ts",
      find: "return [...words, ...flags,",
      replace: 'return ["run", "-q", "--no-prompt", `-P=${worker}`, ...flags,',
    }],
    test: {
      file: "tests/unit/stack/worker_task_test.ts",
      name: "taskArguments() are those of the task: permissions, and what V8 may take for the heap",
    },
  },
  {
    breaks: "a compiled worker is given its permissions and not V8's flags of its task",
    edits: [{ file: "tools/compile.ts", find: "...words,", replace: '"-q", "--no-prompt", `-P=${worker}`,' }],
    test: {
      file: "tests/integration/compile_test.ts",
      name:
        "the compiled consumer carries its permissions, V8's flags of its task, every migration and the client's wasm",
    },
  },
  {
    breaks: "two loops of one partition are watched as one",
    mode: 1,
    edits: [
      edit(
        "consumer/partition_ports.ts",
        "onAttempt: () => progress.mark(loop)",
        "onAttempt: () => progress.mark(loop.name)",
      ),
      edit(
        "consumer/partition_ports.ts",
        "onAttemptEnd: () => progress.idle(loop)",
        "onAttemptEnd: () => progress.idle(loop.name)",
      ),
      edit(
        "consumer/partition_ports.ts",
        "readings.days(), () => progress.mark(loop)",
        "readings.days(), () => progress.mark(loop.name)",
      ),
    ],
    test: {
      file: "tests/unit/consumer/partition_ports_test.ts",
      name: "a partition that is given away leaves it to be seen that its successor's write hangs",
    },
  },
  {
    breaks: "an empty answer that a quota held back counts as a proof that nothing is there",
    edits: [
      edit(
        "consumer/kafka_partition/empty_answers.ts",
        "if (!alone || throttled) return",
        "if (!alone) return",
      ),
    ],
    test: {
      file: EMPTY_ANSWERS,
      name: "EmptyAnswers prove nothing while others are asked for too, or a quota holds records back",
    },
  },
  {
    breaks: "a topic's settings are not asked for before the end of its log counts as compacted",
    edits: [
      edit(
        "consumer/fetch/silent_logs.ts",
        "if (obstacle === undefined && emptyAnswers.",
        "if (emptyAnswers.",
      ),
    ],
    test: {
      file: SILENT_LOGS,
      name:
        "records that come after minutes without one are stored, not written off, and the others are read meanwhile",
    },
  },
  {
    breaks: "partitions that an answer had no room for are suspected of having nothing, and asked for alone",
    edits: [edit("consumer/fetch/fetch_loop.ts", "!crowded && partition", "partition")],
    test: {
      file: FETCH_LOOP,
      name:
        "partitions that an answer has no room for are asked for together with the others again, not alone",
    },
  },
  {
    breaks: "while others fill every answer a partition without records is never suspected",
    edits: [
      edit("consumer/fetch/fetch_loop.ts", "before + Math.min(target.maxBytes, maxBytes) > maxBytes", "true"),
    ],
    test: {
      file: FETCH_LOOP,
      name:
        "a compacted log that never gives another record is read to its end although others fill every answer",
    },
  },
  {
    breaks: "one partition that had something dense once makes the answers of all small",
    edits: [edit("consumer/fetch/fetch_loop.ts", "asked.filter(({ isAtEnd }) => !isAtEnd)", "asked")],
    test: {
      file: FETCH_LOOP,
      name:
        "partitions that have nothing do not make the others' answers small, whatever they had, and are asked for little",
    },
  },
  {
    breaks: "after dense records as much is asked for as before",
    edits: [
      edit(
        "consumer/fetch/fetch_loop.ts",
        "partition.expansion = Math.max(expansion,",
        "partition.expansion = Math.min(1,",
      ),
    ],
    test: {
      file: FETCH_LOOP,
      name: "after dense records little is asked for, and more again bit by bit",
    },
  },
  {
    breaks: "the rest of a log that gives no record is written off in silence",
    edits: [
      edit("consumer/fetch/fetch_loop.ts", "if (gap !== undefined) ports.onSilentGap(partition, gap);", ""),
    ],
    test: {
      file: SILENT_LOGS,
      name: "a compacted log that never gives another record is read to its end, and the gap is told",
    },
  },
  {
    breaks: "a batch that cannot be read counts as lag of ours",
    edits: [
      edit(
        "consumer/fetch/fetch_loop.ts",
        "partition.outOfReach = true;\n        ports.onUnreadable(",
        "ports.onUnreadable(",
      ),
    ],
    test: {
      file: FETCH_LOOP,
      name: "what a partition holds that cannot be read is not due, and the partition beside it is read",
    },
  },
  {
    breaks: "what lies on a broker that does not answer counts as lag of ours",
    edits: [
      edit(
        "consumer/fetch/fetch_loop.ts",
        "partitionsLedBy(node, ports)) partition.outOfReach = true;",
        "partitionsLedBy(node, ports).filter((one) => one.outOfReach)) partition.outOfReach = true;",
      ),
    ],
    test: {
      file: FETCH_LOOP,
      name: "what a broker holds that went away is not due, though its lag is known",
    },
  },
  {
    breaks: "what was decompressed is left to the garbage collector",
    edits: [{
      file: "workers/consumer/kafka_partition/partition.ts",
      find: "      release(batch);\n",
      replace: "",
    }],
    test: {
      file: "tests/unit/consumer/kafka_partition/partition_test.ts",
      name: "a partition frees what was decompressed when the last of it is written, and not before",
    },
  },
  {
    breaks: "what was decompressed is freed with the first part of it",
    edits: [{
      file: "workers/consumer/kafka_partition/slice.ts",
      find: "{ bytes: 0, own: [] })",
      replace: "{ bytes: 0, own: slice.own })",
    }],
    test: {
      file: "tests/unit/consumer/kafka_partition/partition_test.ts",
      name: "a partition frees what was decompressed when the last of it is written, and not before",
    },
  },
];
