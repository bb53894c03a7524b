/** Broken builds: offsets and the log, what is committed and what is lost (docs/faults.md, 3, 13 to 15). */
import { type BrokenBuild, edit, noticedBy } from "./broken_build.ts";

const holds = (what: string) =>
  `${what} holds the offset where it is, rejects nothing, and once repaired all is stored`;
const LOG_TEST = "tests/integration/consumer/log_test.ts";
const TRANSACTIONS =
  "a partition that ends in a committed, then an aborted transaction reaches lag 0, each gap with its cause";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "the next offset is written in a transaction of its own, after that of the rows",
    mode: 3,
    edits: [
      edit(
        "consumer/store/batch_transaction.ts",
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
        "consumer/store/process_batch.ts",
        "if (perhapsWritten !== undefined && outcome.nextOffset === perhapsWritten.slice.next) {",
        "if (perhapsWritten !== undefined && outcome.nextOffset === -1) {",
      ),
    ],
    test: noticedBy("crash", "the answer to a COMMIT that took place gets lost: its batch is counted once"),
  },
  {
    breaks: "what the server answered to is taken for written when the offset is where ours would be",
    edits: [
      edit("consumer/store/process_batch.ts", "if (ports.mayBeDone(error)) perhapsWritten", "perhapsWritten"),
    ],
    test: {
      file: "tests/unit/consumer/store/process_batch_test.ts",
      name: "processBatch() takes nothing for its own that another wrote after the server refused ours",
    },
  },
  {
    breaks: "the statement that stores a few readings looks at an offset, and not whose it is",
    edits: [
      edit("consumer/store/conclude.ts", "using (id, topic_id, kafka_partition, generation)", "using (id)"),
    ],
    test: {
      file: "tests/integration/consumer/few_records_test.ts",
      name: "who does not own his offset writes nothing; who does, in the same turn, writes all",
    },
  },
  {
    breaks: "a few readings take a transaction of five journeys to the server, as many do",
    edits: [
      edit(
        "consumer/store/sink.ts",
        "if (await gathered.writeAtOnce(database)) return values.map(written);",
        "",
      ),
    ],
    test: {
      file: "tests/integration/consumer/few_records_test.ts",
      name:
        "a few readings of several partitions are one statement; a reject among them is none more than its transaction takes",
    },
  },
  {
    breaks:
      "a COMMIT without an answer counts as done, and nobody compares what is remembered with the ledger",
    edits: [
      {
        file: "workers/_shared/postgres.ts",
        find: 'await insistOnAnswer(session.query("commit"));',
        replace: 'await session.query("commit").catch(() => {});',
      },
      edit(
        "consumer/store/ledger.ts",
        "if (remembered.length === 0) return [];",
        "if (remembered.length >= 0) return [];",
      ),
    ],
    test: noticedBy("crash", "a COMMIT that never arrived is done again"),
  },
  {
    breaks: "records that were deleted unread are skipped without asking",
    mode: 13,
    edits: [
      edit(
        "consumer/kafka_partition/offset_reset.ts",
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
      edit("consumer/fetch/fetch_loop.ts", "ports.onLostPlace(partition, divergence);", "void divergence;"),
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
        "consumer/partition_ports.ts",
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
        "consumer/store/ledger.ts",
        "where topic_id = $1 and kafka_partition = $2",
        "where topic = $1 and kafka_partition = $2",
      ),
      edit("consumer/store/ledger.ts", "[log.topicId, log.partition],", "[log.topic, log.partition],"),
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
        file: "workers/_shared/refused_row.ts",
        find: "VALUE_STATES.test(state)",
        replace: "/^(22|42501)/.test(state)",
      },
    ],
    test: noticedBy("refused_writes", holds("the right to insert readings that was revoked")),
  },
  {
    breaks: "what the database answers is a fault of the data, unless it is a missing right",
    mode: 15,
    edits: [
      {
        file: "workers/_shared/refused_row.ts",
        find: "VALUE_STATES.test(state)",
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
        "consumer/store/batch_transaction.ts",
        "  const { rowCount } = await session.query(concludeStatement(parts, readings, stored));",
        `  await session.query("savepoint minutes");
  const { rowCount } = await session.query(concludeStatement(parts, readings, stored)).catch(async () => {
    await session.query("rollback to savepoint minutes");
    return await session.query(concludeStatement(parts, readings, new Int32Array()));
  });`,
      ),
    ],
    test: noticedBy("refused_writes", holds("the table of minutes that was dropped, with a copy kept")),
  },
  {
    breaks: "records of an aborted transaction are stored",
    edits: [
      edit(
        "consumer/kafka_partition/slice.ts",
        "} else if (batch.isTransactional && aborting.has(batch.producerId)) {",
        "} else if (batch.isTransactional && aborting.has(-1n)) {",
      ),
    ],
    test: { file: LOG_TEST, name: TRANSACTIONS },
  },
  {
    breaks: "a transaction's marker is no reason to move the offset",
    edits: [edit("consumer/kafka_partition/slice.ts", 'slice.skipTo(end, "control");', "")],
    test: { file: LOG_TEST, name: TRANSACTIONS },
  },
  {
    breaks: "the end of an aborted transaction is looked for among its records alone",
    edits: [
      edit(
        "consumer/kafka_partition/slice.ts",
        "aborting.add(next.producerId);",
        "if (batches.some(({ isControl }) => isControl)) aborting.add(next.producerId);",
      ),
    ],
    test: {
      file: LOG_TEST,
      name: "an aborted transaction whose marker lies far beyond the first fetch leaves no row",
    },
  },
];
