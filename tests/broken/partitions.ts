/** Making and dropping the partitions of a table that somebody holds, as a dump does. */
import { type BrokenBuild, edit } from "./broken_build.ts";

const DAYS = "tests/unit/consumer/day_partitions/day_partitions_test.ts";
const DUMP = "tests/integration/consumer/partitions_test.ts";
const RANGES = "tests/integration/consumer/block_ranges_test.ts";
const SUMMED_UP =
  "what a backlog fills is summed up while the consumer runs, and its partition gets its first statistics";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "while one day's lock cannot be had, each batch asks for its days all the same",
    edits: [
      edit(
        "consumer/day_partitions/day_partitions.ts",
        "if (locked) this.#pausedUntil = this.#clock() + PAUSE_MS;",
        "",
      ),
    ],
    test: {
      file: DAYS,
      name: "while a dump holds the table a batch waits for one day's lock and not for each of its days",
    },
  },
  {
    breaks: "a batch makes all its partitions, however long they take",
    edits: [edit("consumer/day_partitions/day_partitions.ts", "&& now < giveUpAt", "&& giveUpAt > 0")],
    test: {
      file: DAYS,
      name: "a batch makes partitions for some seconds and no longer, and it is seen that it gets on",
    },
  },
  {
    breaks: "the time that a batch's partitions take counts as standing still",
    edits: [
      edit(
        "consumer/partition_ports.ts",
        "environment.dayPartitions.prepare(readings.days(), () => progress.mark(loop))",
        "environment.dayPartitions.prepare(readings.days(), () => {})",
      ),
    ],
    test: {
      file: "tests/unit/consumer/partition_ports_test.ts",
      name: "a batch whose partitions take long is seen to get on",
    },
  },
  {
    breaks: "a dump of the database is waited for by each batch, once for each of its days",
    edits: [
      edit(
        "consumer/day_partitions/day_partitions.ts",
        "if (locked) this.#pausedUntil = this.#clock() + PAUSE_MS;",
        "",
      ),
      edit("consumer/day_partitions/day_partitions.ts", "&& now < giveUpAt", "&& giveUpAt > 0"),
      {
        file: "migrations/0010_drop_in_pieces.sql",
        find: "perform set_config('lock_timeout', '500ms', true);",
        replace: "",
      },
    ],
    test: {
      file: DUMP,
      name:
        "partitions that cannot be made during a dump hold nothing up, and are made with their rows when it is over",
    },
  },
  {
    breaks: "the lock for dropping a partition is waited for, and everybody behind it",
    edits: [{
      file: "migrations/0010_drop_in_pieces.sql",
      find: "perform set_config('lock_timeout', (100 * 2 ^ try)::integer::text, true);",
      replace: "",
    }],
    test: {
      file: DUMP,
      name:
        "a partition that cannot be dropped during a dump makes nobody wait behind it for long, and is dropped after it",
    },
  },
  {
    breaks: "what cannot be dropped during a dump is asked for at each round",
    edits: [
      edit(
        "consumer/day_partitions/retention.ts",
        "if (pauseAfter(failure)) pausedUntil = clock() + PAUSE_MS;",
        "",
      ),
    ],
    test: {
      file: "tests/unit/consumer/day_partitions/retention_test.ts",
      name:
        "what cannot be dropped for a lock is asked for again minutes later, and minutes are deleted meanwhile",
    },
  },
  {
    breaks: "what is written is not told to who sums it up",
    edits: [edit("consumer/consume.ts", "this.#blockRanges.written();", "")],
    test: { file: RANGES, name: SUMMED_UP },
  },
  {
    breaks: "a partition is summed up once, and not what it gets later",
    edits: [{
      file: "migrations/0008_summarize_block_ranges.sql",
      find: "perform brin_summarize_range(brin.name, range * brin.pages);",
      replace: "null;",
    }],
    test: { file: RANGES, name: SUMMED_UP },
  },
  {
    breaks: "no first statistics",
    edits: [{
      file: "migrations/0008_summarize_block_ranges.sql",
      find: "execute format('analyze public.%I', partition_name);",
      replace: "null;",
    }],
    test: { file: RANGES, name: SUMMED_UP },
  },
  {
    breaks: "statistics of a time when the partition was empty are taken for its first",
    edits: [{
      file: "migrations/0008_summarize_block_ranges.sql",
      find: "and not exists (\n    select from pg_stats",
      replace:
        "and -1 = (select reltuples from pg_class where oid = partition) and not exists (\n    select from pg_stats",
    }],
    test: { file: RANGES, name: SUMMED_UP },
  },
  {
    breaks: "who rewrites an old partition is waited for, and nothing is summed up meanwhile",
    edits: [
      edit("consumer/day_partitions/block_ranges.ts", "and mode = 'AccessExclusiveLock'", "and mode = ''"),
    ],
    test: {
      file: RANGES,
      name: "while a vacuum has a partition nobody waits for it, and what it left is summed up afterwards",
    },
  },
  {
    breaks: "a summary that is refused is asked for, and told of, each second",
    edits: [
      edit(
        "consumer/day_partitions/block_ranges.ts",
        "this.#pausedUntil.set(",
        "if (isServerUnable(error)) this.#pausedUntil.set(",
      ),
    ],
    test: {
      file: "tests/unit/consumer/day_partitions/block_ranges_test.ts",
      name: "a partition whose summary is refused is told of once in five minutes, and holds no other up",
    },
  },
  {
    breaks: "a vacuum is waited for",
    edits: [{
      file: "migrations/0008_summarize_block_ranges.sql",
      find: " mode nowait'",
      replace: " mode'",
    }],
    test: {
      file: RANGES,
      name: "while a vacuum has a partition nobody waits for it, and what it left is summed up afterwards",
    },
  },
];
