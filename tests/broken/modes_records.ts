/** Broken builds: records that stopped other pipelines (docs/faults.md, 4 to 9, 16, 18). */
import { type BrokenBuild, edit, noticedBy } from "./broken_build.ts";

const BAD_RECORD = "a bad record costs one reject with its exact bytes, and its neighbours are stored";
const REFUSED_ROW =
  "one row of 1,000, and of 8,000, that the database refuses costs statements that grow like log n, and no neighbour";
const SAME_KEY =
  "the same key three times in one batch is one row and two duplicates, and again later only duplicates";
const DEADLOCK =
  "a deadlock that somebody else forces is no reason to reject: the batch is written again, once";
const FUTURE =
  "a timestamp in ten years is rejected and makes no partition; one of 1970, and one a minute ahead, are stored";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "a value that is no JSON fails its batch",
    mode: 4,
    edits: [
      edit(
        "_shared/record/decode.ts",
        'return error instanceof SyntaxError ? error : new SyntaxError("too deep or too long");',
        "throw error;",
      ),
    ],
    test: noticedBy("poison", BAD_RECORD),
  },
  {
    breaks: "a reject's payload is stored as text",
    mode: 4,
    edits: [
      edit(
        "consumer/store/batch_transaction.ts",
        "else row.bytea(bytes);",
        "else row.text(new TextDecoder().decode(bytes));",
      ),
    ],
    test: noticedBy("poison", BAD_RECORD),
  },
  {
    breaks: "a batch that the database refuses is tried again row by row",
    mode: 5,
    edits: [
      edit("consumer/store/process_batch.ts", "const middle = (from + to) >> 1;", "const middle = from + 1;"),
    ],
    test: noticedBy("poison", REFUSED_ROW),
  },
  {
    breaks: "a batch that the database refuses is rejected as a whole",
    mode: 5,
    edits: [
      edit(
        "consumer/store/process_batch.ts",
        "if (to - from === 1) return await this.#setApart(from, error);",
        `if (to > from) {
        for (let key = from; key < to; key++) await this.#setApart(key, error);
        return;
      }`,
      ),
    ],
    test: noticedBy("poison", REFUSED_ROW),
  },
  {
    breaks: "NUL and unpaired surrogates in an id are left to the database",
    mode: 6,
    edits: [
      {
        file: "workers/_shared/record/heartbeat.ts",
        find: "/^[^\\u0000\\uD800-\\uDFFF]{1,128}$/u",
        replace: "/^[^]{1,128}$/u",
      },
    ],
    test: noticedBy(
      "poison",
      "NUL bytes, lone surrogates and invalid UTF-8 in ids, keys and payloads never reach SQL, and their rejects are stored",
    ),
  },
  {
    breaks: "rows are inserted with a bind parameter for each value",
    mode: 7,
    edits: [
      edit(
        "consumer/store/insert_readings.ts",
        "async function copy(session: Session, readings: Readings, rows: Int32Array): Promise<Present> {",
        `async function copy(session: Session, readings: Readings, rows: Int32Array): Promise<Present> {
  if (rows.length > 0) {
    const values = [...rows].flatMap((row) => [
      readings.customers.text(readings.customer[row] ?? 0),
      new Date((readings.seconds[row] ?? 0) * 1000).toISOString(),
      readings.heartRate[row],
      readings.anomaly(row),
    ]);
    const tuples = [...rows].map((_, at) => \`(\${[1, 2, 3, 4].map((n) => \`$\${4 * at + n}\`).join()})\`);
    await session.query(\`insert into public.heartbeats values \${tuples.join()}\`, values);
    return "all stored";
  }`,
      ),
    ],
    test: noticedBy("repeats", "a batch of 100,000 rows is one statement"),
  },
  {
    breaks: "rows are copied a thousand at a time",
    mode: 7,
    edits: [
      edit(
        "consumer/store/insert_readings.ts",
        "async function copy(session: Session, readings: Readings, rows: Int32Array): Promise<Present> {",
        `async function copy(session: Session, readings: Readings, rows: Int32Array): Promise<Present> {
  if (rows.length > 1_000) {
    await copy(session, readings, rows.subarray(0, 1_000));
    return await copy(session, readings, rows.subarray(1_000));
  }`,
      ),
    ],
    test: noticedBy("repeats", "a batch of 100,000 rows is one statement"),
  },
  {
    breaks: "repeats within a batch are left to the database",
    mode: 8,
    edits: [
      edit(
        "consumer/store/plan_batch.ts",
        "if (at === 0 || !readings.isSameKey(rows[at - 1] ?? 0, rows[at] ?? 0)) keys[count++] = at;",
        "keys[count++] = at;",
      ),
    ],
    test: noticedBy("repeats", SAME_KEY),
  },
  {
    breaks: "another heart rate for a known key counts as a duplicate",
    edits: [
      edit("consumer/store/process_batch.ts", "if (heartRate === kept) {", "if (heartRate !== undefined) {"),
    ],
    test: noticedBy(
      "repeats",
      "of two heart rates for one key the first stored stays and the other is rejected",
    ),
  },
  {
    breaks: "customers are written in the order in which they came",
    mode: 9,
    edits: [
      edit(
        "consumer/store/customers.ts",
        ".sort((a, b) => Buffer.compare(this.bytes(a), this.bytes(b)))",
        "",
      ),
    ],
    test: noticedBy(
      "writers",
      "four writers with overlapping keys store each key once and do not deadlock",
    ),
  },
  {
    breaks: "a deadlock is taken for a fault of the data",
    mode: 9,
    edits: [
      {
        file: "workers/_shared/refused_row.ts",
        find: "VALUE_STATES.test(state)",
        replace: "/^(22|40)/.test(state)",
      },
    ],
    test: noticedBy("writers", DEADLOCK),
  },
  {
    breaks: "a reading of any year to come is stored",
    mode: 16,
    edits: [
      edit(
        "_shared/record/decode.ts",
        "if (ts > micros(latestMs)) return",
        "if (ts > micros(latestMs) && ts < 0n) return",
      ),
    ],
    test: noticedBy("timestamps", FUTURE),
  },
  {
    breaks: "no partition is made before a day's rows come",
    mode: 16,
    edits: [edit("consumer/store/process_batch.ts", "await ports.prepare(plan);", "")],
    test: noticedBy(
      "timestamps",
      "days that roll over under load each find their partition, with none of their rows in the default",
    ),
  },
  {
    breaks: "a day whose partition cannot be made is waited for",
    mode: 16,
    edits: [
      edit(
        "consumer/day_partitions/day_partitions.ts",
        "if (state === undefined || isServerUnable(error)) throw error;",
        "if (state === undefined || !LOST_RACES.has(state)) throw error;",
      ),
    ],
    test: noticedBy(
      "timestamps",
      "where no partition can be made the default takes the rows, and the ingest goes on",
    ),
  },
  {
    breaks: "the number of a codec is read with a bit too few",
    mode: 18,
    edits: [edit("_shared/kafka/record_batch.ts", "const COMPRESSION = 0b111;", "const COMPRESSION = 0b11;")],
    test: noticedBy("codecs", "records that Kafka's own library compressed with zstd are read"),
  },
  {
    breaks: "what a cut leaves nothing of is kept",
    edits: [edit("_shared/kafka/records.ts", "if (to <= from) continue;", "")],
    test: {
      file: "tests/unit/consumer/kafka_partition/slice_test.ts",
      name: "splitSlice() loses nothing of plain and compressed batches in turns, wherever it cuts",
    },
  },
  {
    breaks: "a batch waits for the partitions of all its days",
    mode: 16,
    edits: [edit("consumer/day_partitions/day_partitions.ts", "asked < DAYS_AT_ONCE && ", "")],
    test: {
      file: "tests/unit/consumer/day_partitions/day_partitions_test.ts",
      name: "a batch with readings of thousands of days waits for a few partitions only",
    },
  },
  {
    breaks: "a batch of which most is refused is tried as a whole for ever",
    mode: 5,
    edits: [
      edit("consumer/store/process_batch.ts", "(refusals > 1 || ports.tookTooLong(error))", "refusals < 0"),
    ],
    test: noticedBy(
      "poison",
      "a batch of which the database refuses every row gets on, in parts that fit an attempt",
    ),
  },
];
