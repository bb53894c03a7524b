/** Broken builds for the ways in which comparable systems failed their users; docs/faults.md has what each one said. */
import type { BrokenBuild, Edit } from "./broken_build.ts";

const CONSUMER = "workers/consumer";

function edit(file: string, find: string, replace: string): Edit {
  return { file: `${CONSUMER}/${file}`, find, replace };
}

function noticedBy(file: string, name: string): BrokenBuild["test"] {
  return { file: `tests/faults/${file}_test.ts`, name };
}

const STUCK =
  "writes that fail although both servers answer turn liveness red, then end the process; repaired, all is stored";
const BAD_RECORD = "a bad record costs one reject with its exact bytes, and its neighbours are stored";
const REFUSED_ROW =
  "one row of 1,000, and of 8,000, that the database refuses costs statements that grow like log n, and no neighbour";
const SAME_KEY =
  "the same key three times in one batch is one row and two duplicates, and again later only duplicates";
const DEADLOCK =
  "a deadlock that somebody else forces is no reason to reject: the batch is written again, once";
const FROZEN = "a consumer frozen in the middle of a batch stores nothing after its successor took over";
const FUTURE =
  "a timestamp in ten years is rejected and makes no partition; one of 1970, and one a minute ahead, are stored";
const holds = (what: string) =>
  `${what} holds the offset where it is, rejects nothing, and once repaired all is stored`;

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "the end of every attempt to write counts as progress, whether it worked or not",
    mode: 1,
    edits: [
      edit(
        "partition_ports.ts",
        "onAttemptEnd: () => progress.idle(loop),",
        "onAttemptEnd: () => { progress.idle(loop); progress.committed(); },",
      ),
    ],
    test: noticedBy("liveness", STUCK),
  },
  {
    breaks: "a process that is red says so and does not end",
    mode: 1,
    edits: [
      edit("housekeeping.ts", "if (progress.isStuck()) {", "if (signal.aborted && progress.isStuck()) {"),
    ],
    test: noticedBy("liveness", STUCK),
  },
  {
    breaks: "nobody watches whether an attempt that began ever ends",
    mode: 1,
    edits: [edit("partition_ports.ts", "onAttempt: () => progress.mark(loop),", "onAttempt: () => {},")],
    test: noticedBy(
      "liveness",
      "a query that is never answered hangs its loop: liveness turns red, the process ends, and its successor goes on",
    ),
  },
  {
    breaks: "the process ends when a batch has failed three times",
    mode: 2,
    edits: [
      edit(
        "process_batch.ts",
        "ports.onFailure(error, attempt);",
        "ports.onFailure(error, attempt);\n        if (attempt >= 3) throw error;",
      ),
    ],
    test: noticedBy(
      "outage",
      "PostgreSQL stopped under load: not ready but alive, nothing rejected, caught up afterwards",
    ),
  },
  {
    breaks: "a batch that failed three times goes to the rejects",
    mode: 2,
    edits: [
      edit(
        "process_batch.ts",
        "const planned = plan ??= ports.plan(slice.records);",
        `let planned = plan ??= ports.plan(slice.records);
          if (attempt > 3) {
            const rejects = Array.from({ length: planned.records.length }, (_, index) => planned.records.at(index))
              .flatMap((record) => record === undefined ? [] : [record])
              .map((record) => ({ record, reason: "database_rejected" as const, detail: "failed three times" }));
            planned = { ...planned, rejects, rows: new Int32Array(), keys: new Int32Array(1) };
          }`,
      ),
    ],
    test: noticedBy(
      "outage",
      "PostgreSQL stopped under load: not ready but alive, nothing rejected, caught up afterwards",
    ),
  },
  {
    breaks: "the next offset is written in a transaction of its own, after that of the rows",
    mode: 3,
    edits: [
      edit(
        "sink.ts",
        "if (gaps.length > 0) await storeGaps(session, ledger, gaps);",
        `await session.query("commit");
      await session.query("begin");
      if (gaps.length > 0) await storeGaps(session, ledger, gaps);`,
      ),
    ],
    test: noticedBy("crash", "kill -9 at 20 random moments of 100,000 records: none lost, none twice"),
  },
  {
    breaks: "after a lost answer nobody asks whether the COMMIT took place",
    edits: [
      edit(
        "process_batch.ts",
        "if (attempted !== undefined && outcome.nextOffset === slice.next) {",
        "if (attempted !== undefined && outcome.nextOffset < 0) {",
      ),
    ],
    test: noticedBy("crash", "the answer to a COMMIT that took place gets lost: its batch is counted once"),
  },
  {
    breaks: "a COMMIT without an answer counts as done",
    edits: [
      {
        file: "workers/_shared/postgres.ts",
        find: 'await session.query("commit");',
        replace: 'await session.query("commit").catch(() => {});',
      },
    ],
    test: noticedBy("crash", "a COMMIT that never arrived is done again"),
  },
  {
    breaks: "a value that is no JSON fails its batch",
    mode: 4,
    edits: [
      edit(
        "decode.ts",
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
      edit("sink.ts", "else row.bytea(bytes);", "else row.text(new TextDecoder().decode(bytes));"),
    ],
    test: noticedBy("poison", BAD_RECORD),
  },
  {
    breaks: "a batch that the database refuses is tried again row by row",
    mode: 5,
    edits: [edit("process_batch.ts", "const middle = (from + to) >> 1;", "const middle = from + 1;")],
    test: noticedBy("poison", REFUSED_ROW),
  },
  {
    breaks: "a batch that the database refuses is rejected as a whole",
    mode: 5,
    edits: [
      edit(
        "process_batch.ts",
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
        file: "workers/_shared/heartbeat.ts",
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
        "sink.ts",
        "async function copy(session: Session, readings: Readings, rows: Int32Array): Promise<Inserted> {",
        `async function copy(session: Session, readings: Readings, rows: Int32Array): Promise<Inserted> {
  if (rows.length > 0) {
    const values = [...rows].flatMap((row) => [
      readings.customers.text(readings.customer[row] ?? 0),
      new Date((readings.seconds[row] ?? 0) * 1000).toISOString(),
      readings.heartRate[row],
      readings.anomaly(row),
    ]);
    const tuples = [...rows].map((_, at) => \`(\${[1, 2, 3, 4].map((n) => \`$\${4 * at + n}\`).join()})\`);
    await session.query(\`insert into public.heartbeats values \${tuples.join()}\`, values);
    return { kind: "inserted" };
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
        "sink.ts",
        "async function copy(session: Session, readings: Readings, rows: Int32Array): Promise<Inserted> {",
        `async function copy(session: Session, readings: Readings, rows: Int32Array): Promise<Inserted> {
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
        "plan_batch.ts",
        "if (at === 0 || !readings.isSameKey(rows[at - 1] ?? 0, rows[at] ?? 0)) keys[count++] = at;",
        "keys[count++] = at;",
      ),
    ],
    test: noticedBy("repeats", SAME_KEY),
  },
  {
    breaks: "another heart rate for a known key counts as a duplicate",
    edits: [edit("process_batch.ts", "if (heartRate === kept) {", "if (heartRate !== undefined) {")],
    test: noticedBy(
      "repeats",
      "of two heart rates for one key the first stored stays and the other is rejected",
    ),
  },
  {
    breaks: "customers are written in the order in which they came",
    mode: 9,
    edits: [edit("customers.ts", ".sort((a, b) => Buffer.compare(this.bytes(a), this.bytes(b)))", "")],
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
        file: "workers/_shared/postgres.ts",
        find: "/^2[23]/.test(state)",
        replace: "/^(2[23]|40)/.test(state)",
      },
    ],
    test: noticedBy("writers", DEADLOCK),
  },
  {
    breaks: "neither the consumer nor the database asks whether a batch begins where the offset stands",
    mode: 10,
    edits: [
      edit(
        "sink.ts",
        'if (nextOffset !== from) return { at: "moved" as const, nextOffset };',
        'if (nextOffset < 0) return { at: "moved" as const, nextOffset };',
      ),
      {
        file: "migrations/0001_create_ledger_and_heartbeats.sql",
        find: "check (next_offset - first_offset = stored + duplicates + rejected + gaps)",
        replace: "check (next_offset >= first_offset)",
      },
    ],
    test: noticedBy(
      "rebalance",
      "three consumers that join and leave every few seconds under load: none lost, none twice",
    ),
  },
  {
    breaks: "a lock that a frozen owner keeps is waited for",
    mode: 10,
    edits: [
      edit(
        "partition_ports.ts",
        "if (isLockTimeout(error)) void endFrozenWriters",
        "if (isLockTimeout(error) && attempt < 0) void endFrozenWriters",
      ),
    ],
    test: noticedBy("rebalance", FROZEN),
  },
  {
    breaks: "heartbeats come more seldom than the session lasts",
    mode: 11,
    edits: [
      edit(
        "membership.ts",
        "heartbeatInterval: Math.floor(options.sessionTimeoutMs / 10),",
        "heartbeatInterval: options.sessionTimeoutMs * 2,",
      ),
    ],
    test: noticedBy(
      "slow_database",
      "a database that answers after a minute costs no heartbeat: nobody is rebalanced, and all is stored afterwards",
    ),
  },
  {
    breaks: "a statement may take no longer than a quick database needs",
    mode: 11,
    edits: [
      {
        file: "workers/_shared/postgres.ts",
        find: "query_timeout: limits.transactionMs + NETWORK_GRACE_MS,",
        replace: "query_timeout: 250,",
      },
    ],
    test: noticedBy(
      "slow_database",
      "a database a third of a second away is slow, and neither retried nor a reason to rebalance",
    ),
  },
  {
    breaks: "a query waits for its answer without end",
    mode: 12,
    edits: [
      {
        file: "workers/_shared/postgres.ts",
        find: "query_timeout: limits.transactionMs + NETWORK_GRACE_MS,",
        replace: "",
      },
      {
        file: "workers/_shared/postgres.ts",
        find: 'socketOf(session)?.destroy(new Error("no answer in time"))',
        replace: "socketOf(session)",
      },
    ],
    test: noticedBy("half_open", "a database connection that falls silent is given up, shown, and replaced"),
  },
  {
    breaks: "a COPY waits for its answer without end",
    mode: 12,
    edits: [
      {
        file: "workers/_shared/postgres.ts",
        find: 'socketOf(session)?.destroy(new Error("no answer in time"))',
        replace: "socketOf(session)",
      },
    ],
    test: noticedBy(
      "half_open",
      "a connection that falls silent in the middle of a COPY is given up, and the batch written again",
    ),
  },
  {
    breaks: "a partition that waits for its turn to write counts as hung",
    mode: 12,
    edits: [
      edit(
        "process_batch.ts",
        "const outcome = await ports.takeTurn(async () => {",
        "ports.onAttempt();\n        const outcome = await ports.takeTurn(async () => {",
      ),
    ],
    test: noticedBy(
      "half_open",
      "while a silent database keeps many partitions waiting for their turn, the process counts as alive",
    ),
  },
  {
    breaks: "a request to Kafka waits for its answer for ten minutes",
    mode: 12,
    edits: [
      {
        file: "workers/_shared/kafka.ts",
        find: "const REQUEST_TIMEOUT_MS = 10_000;",
        replace: "const REQUEST_TIMEOUT_MS = 600_000;",
      },
    ],
    test: noticedBy("half_open", "connections to Kafka that fall silent are given up, shown, and replaced"),
  },
  {
    breaks: "records that were deleted unread are skipped without asking",
    mode: 13,
    edits: [
      edit(
        "offset_reset.ts",
        'if (policy === "earliest") return { kind: "skip", to: log.earliest };',
        'return { kind: "skip", to: log.earliest };',
      ),
    ],
    test: noticedBy(
      "lost_log",
      "unread records that were deleted hold their partition, visibly; nothing is lost and the others go on",
    ),
  },
  {
    breaks: "a log that ends before the stored offset is waited for in silence",
    mode: 13,
    edits: [
      edit("offset_reset.ts", "if (at >= log.earliest && at <= log.end)", "if (at >= log.earliest)"),
    ],
    test: noticedBy(
      "lost_log",
      "a log that lies behind the stored offset is held, and with earliest read as a new generation",
    ),
  },
  {
    breaks: "a partition is read from the group's offset where that is ahead",
    mode: 13,
    edits: [
      edit(
        "partition_ports.ts",
        "if (ledger === undefined) return undefined;\n      databaseWorks();",
        `if (ledger === undefined) return undefined;
      const told = await client.listCommittedOffsets({ topics: [{ topic: log.topic, partitions: [log.partition] }] });
      const [group = -1n] = told.get(log.topic) ?? [];
      if (group > ledger.nextOffset) {
        await database.query("update public.ingest_offsets set next_offset = $2, gaps = gaps + $2 - next_offset where id = $1", [ledger.id, Number(group)]);
        ledger = { ...ledger, nextOffset: Number(group) };
      }
      databaseWorks();`,
      ),
    ],
    test: noticedBy(
      "lost_log",
      "a database that was restored from a backup goes on from its own offset, whatever the group's is",
    ),
  },
  {
    breaks: "a topic is known by its name alone",
    mode: 14,
    edits: [
      edit(
        "ledger.ts",
        "where topic_id = $1 and kafka_partition = $2",
        "where topic = $1 and kafka_partition = $2",
      ),
      edit("ledger.ts", "[log.topicId, log.partition],", "[log.topic, log.partition],"),
    ],
    test: noticedBy(
      "lost_log",
      "a topic that was made again while the consumer was away is read as a new log, though it is longer than the old",
    ),
  },
  {
    breaks: "a missing right is taken for a fault of the data",
    mode: 15,
    edits: [
      {
        file: "workers/_shared/postgres.ts",
        find: "/^2[23]/.test(state)",
        replace: "/^(2[23]|42501)/.test(state)",
      },
    ],
    test: noticedBy("refused_writes", holds("the right to insert readings that was revoked")),
  },
  {
    breaks: "what the database answers is a fault of the data, unless it is a missing right",
    mode: 15,
    edits: [
      {
        file: "workers/_shared/postgres.ts",
        find: "/^2[23]/.test(state)",
        replace: "!/^(40|42501)/.test(state)",
      },
    ],
    test: noticedBy("refused_writes", holds("the table of readings that is gone")),
  },
  {
    breaks: "minutes that cannot be written are left out",
    mode: 15,
    edits: [
      edit(
        "sink.ts",
        "rollUp: (readings, stored) => rollUp(session, readings, stored),",
        `rollUp: async (readings, stored) => {
      await session.query("savepoint minutes");
      await rollUp(session, readings, stored)
        .catch(async () => void await session.query("rollback to savepoint minutes"));
    },`,
      ),
    ],
    test: noticedBy("refused_writes", holds("the table of minutes that was dropped, with a copy kept")),
  },
  {
    breaks: "a reading of any year to come is stored",
    mode: 16,
    edits: [
      edit("decode.ts", "if (ts > micros(latestMs)) return", "if (ts > micros(latestMs) && ts < 0n) return"),
    ],
    test: noticedBy("timestamps", FUTURE),
  },
  {
    breaks: "no partition is made before a day's rows come",
    mode: 16,
    edits: [edit("process_batch.ts", "await ports.prepare(planned);", "")],
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
        "day_partitions.ts",
        "if (state === undefined || SERVER_AWAY.test(state)) throw error;",
        "if (state === undefined || !LOST_RACES.has(state)) throw error;",
      ),
    ],
    test: noticedBy(
      "timestamps",
      "where no partition can be made the default takes the rows, and the ingest goes on",
    ),
  },
  {
    breaks: "Kafka is asked again at once when there is nothing new",
    mode: 17,
    edits: [edit("fetch_loop.ts", "const IDLE_WAIT_MS = 500;", "const IDLE_WAIT_MS = 0;")],
    test: noticedBy(
      "idle",
      "an idle consumer asks Kafka a few times between two heartbeats, and warns of nothing",
    ),
  },
  {
    breaks: "an answer that the broker holds back counts as a failure",
    mode: 17,
    edits: [
      edit(
        "fetch_loop.ts",
        "ports.onAnswer();\n  let failed",
        'if (answer.throttled) throw new Error("the broker throttles");\n  ports.onAnswer();\n  let failed',
      ),
    ],
    test: noticedBy(
      "idle",
      "a consumer that its quota throttles reads on without a stall, a retry or a warning",
    ),
  },
  {
    breaks: "the number of a codec is read with a bit too few",
    mode: 18,
    edits: [edit("record_batch.ts", "const COMPRESSION = 0b111;", "const COMPRESSION = 0b11;")],
    test: noticedBy("codecs", "records that Kafka's own library compressed with zstd are read"),
  },
  {
    breaks: "records are fetched whether or not there is room for them",
    mode: 20,
    edits: [
      edit(
        "partition.ts",
        'return this.state === "reading" && this.#waitingBytes < this.#limits.bufferBytes;',
        'return this.state === "reading";',
      ),
    ],
    test: noticedBy(
      "memory",
      "while PostgreSQL is away half a million records wait in Kafka and not in memory, and are stored afterwards",
    ),
  },
];
