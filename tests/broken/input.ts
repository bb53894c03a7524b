/** Broken builds for hostile input, clocks that jump, and what must not grow. */
import type { BrokenBuild } from "./broken_build.ts";

const VERDICT = {
  file: "tests/unit/_shared/record/decode_verdict_test.ts",
  name: "decode() answers as the specification does, whatever a record is made of",
};
const REPEATED = {
  file: "tests/faults/hostile_records_test.ts",
  name:
    "3,000 readings that repeat and contradict each other: the first of a key stays, the rest is told apart",
};
const UTF8 = {
  file: "tests/faults/torture_test.ts",
  name: "UTF-8 at its limits: each is stored or rejected as it must be, with its exact bytes",
};
const CLOCK = {
  file: "tests/faults/clock_test.ts",
  name:
    "the clock jumps an hour and ten years, forward and back: nothing good is rejected, nothing wanted is dropped, nothing stops",
};

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "whole numbers are told from the double that JSON.parse rounded them to",
    mode: 4,
    edits: [{
      file: "workers/_shared/record/decode.ts",
      find: "if (Number.isInteger(value) && !isWhole(",
      replace: "if (Number.isInteger(value) && isNaN(value) && !isWhole(",
    }],
    test: VERDICT,
  },
  {
    breaks: "invalid UTF-8 is replaced and stored, as Buffer.toString() does it",
    mode: 6,
    edits: [{
      file: "workers/_shared/record/decode.ts",
      find: 'if (text.includes("\\uFFFD")) {',
      replace: 'if (text === "\\uFFFD") {',
    }],
    test: UTF8,
  },
  {
    breaks: "a customer's length is counted in UTF-16 units",
    mode: 6,
    edits: [{
      file: "workers/_shared/record/heartbeat.ts",
      find: "\\uD800-\\uDFFF]{1,128}$/u;",
      replace: "]{1,128}$/;",
    }],
    test: VERDICT,
  },
  {
    breaks: "the exact bytes of a reject are stored as text",
    mode: 6,
    edits: [{
      file: "workers/consumer/store/batch_transaction.ts",
      find: "else row.bytea(bytes);",
      replace: "else row.bytea(new TextEncoder().encode(new TextDecoder().decode(bytes)));",
    }],
    test: UTF8,
  },
  {
    breaks: "the same key with another heart rate counts as a duplicate",
    mode: 8,
    edits: [{
      file: "workers/consumer/store/process_batch.ts",
      find: "if (heartRate === kept) {",
      replace: "if (heartRate !== undefined && kept > 0) {",
    }],
    test: REPEATED,
  },
  {
    breaks: "Kafka's timestamp of a record goes to PostgreSQL whatever it is",
    mode: 4,
    edits: [{
      file: "workers/consumer/store/conclude.ts",
      find: "Math.min(Math.max(last.timestampMs / 1000, FIRST_SECOND), LAST_SECOND)",
      replace: "last.timestampMs / 1000",
    }],
    test: {
      file: "tests/faults/hostile_records_test.ts",
      name: "records whose own timestamp no calendar knows are stored like any other",
    },
  },
  {
    breaks: "of a member that comes more than once the first number counts",
    mode: 4,
    edits: [{
      file: "workers/_shared/record/json_number.ts",
      find: "found = match[1];",
      replace: "found ??= match[1];",
    }],
    test: VERDICT,
  },
  {
    breaks: "a byte order mark makes a record no JSON",
    edits: [{
      file: "workers/_shared/record/decode.ts",
      find: "text.charCodeAt(0) === 0xfeff",
      replace: "text.charCodeAt(0) === 0xfffe",
    }],
    test: {
      file: "tests/faults/torture_test.ts",
      name: "JSONTestSuite: each is stored or rejected as it must be, with its exact bytes",
    },
  },
  {
    breaks: "customers are trimmed",
    edits: [{
      file: "workers/_shared/record/decode.ts",
      find: "const { customer_id: customerId,",
      replace:
        "const { customer_id: untrimmed } = parsed;\n    const customerId = untrimmed.trim();\n    const {",
    }],
    test: {
      file: "tests/faults/torture_test.ts",
      name: "naughty strings: each is stored or rejected as it must be, with its exact bytes",
    },
  },
  {
    breaks: "customers are brought into one normal form of Unicode",
    edits: [{
      file: "workers/_shared/record/decode.ts",
      find: "const { customer_id: customerId,",
      replace:
        "const { customer_id: asSent } = parsed;\n    const customerId = asSent.normalize();\n    const {",
    }],
    test: {
      file: "tests/faults/torture_test.ts",
      name: "naughty strings: each is stored or rejected as it must be, with its exact bytes",
    },
  },
  {
    breaks: "our clock alone decides what is too old",
    edits: [{
      file: "workers/_shared/record/decode.ts",
      find: " && ts < micros(witness() - keptMs)",
      replace: "",
    }],
    test: CLOCK,
  },
  {
    breaks: "our clock alone decides what lies in the future",
    edits: [{
      file: "workers/_shared/record/decode.ts",
      find: "Math.max(now(), witness()) + maxSkewMs",
      replace: "now() + maxSkewMs",
    }],
    test: CLOCK,
  },
  {
    breaks: "our clock alone decides which days and minutes are dropped",
    edits: [{
      file: "workers/consumer/day_partitions/oldest_kept.ts",
      find: "least(now(), $1::timestamptz)",
      replace: "$1::timestamptz",
    }],
    test: CLOCK,
  },
  {
    breaks: "partitions are made ahead of a clock that may be wrong",
    mode: 16,
    edits: [{
      file: "workers/consumer/day_partitions/retention.ts",
      find: "makeAhead(clocks.database())",
      replace: "makeAhead(clocks.own())",
    }],
    test: CLOCK,
  },
  {
    breaks: "a session whose connection broke is neither destroyed nor given back",
    edits: [{
      file: "workers/_shared/postgres.ts",
      find: "session.release(broken);",
      replace: "if (broken === undefined) session.release();",
    }],
    test: {
      file: "tests/faults/growth_test.ts",
      name:
        "60 cuts of every connection, rebalances and database restarts leave no connection, descriptor, timer or listener behind",
    },
  },
  {
    breaks: "each wait leaves its listener on the program's signal",
    edits: [{
      file: "workers/_shared/backoff.ts",
      find: 'signal.removeEventListener("abort", done);',
      replace: "",
    }],
    test: {
      file: "tests/faults/growth_test.ts",
      name:
        "60 cuts of every connection, rebalances and database restarts leave no connection, descriptor, timer or listener behind",
    },
  },
];
