/** Broken builds: processes and servers that hang, stop, and slow down (docs/faults.md, 1, 2, 10 to 12, 17, 20). */
import { type BrokenBuild, type Edit, edit, noticedBy } from "./broken_build.ts";

const STUCK =
  "writes that fail although both servers answer turn liveness red, then end the process; repaired, all is stored";
const STANDING =
  "one partition whose writes fail while another gets on is named until the process ends; repaired, all is stored";
const FROZEN = "a consumer frozen in the middle of a batch stores nothing after its successor took over";
/** Of two nets one holds: the driver's own limit, and the destroyed socket. */
const WITHOUT_END: readonly Edit[] = [
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
];

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "the end of every attempt to write counts as progress, whether it worked or not",
    mode: 1,
    edits: [
      edit(
        "consumer/partition_ports.ts",
        "onAttemptEnd: () => progress.idle(loop),",
        "onAttemptEnd: () => { progress.idle(loop); progress.databaseWorks(loop); progress.committed(); },",
      ),
    ],
    test: noticedBy("liveness", STUCK),
  },
  {
    breaks: "what is committed of one partition counts as progress of them all",
    mode: 1,
    edits: [
      edit(
        "consumer/health/progress.ts",
        "this.#lastCommit = this.#clock();",
        "this.#lastCommit = this.#clock();\n    this.#failures.clear();",
      ),
    ],
    test: noticedBy("liveness", STANDING),
  },
  {
    breaks: "what works for one partition ends what readiness says of another",
    mode: 1,
    edits: [
      edit(
        "consumer/health/progress.ts",
        "this.#databaseReasons.delete(writer);",
        "this.#databaseReasons.clear();",
      ),
    ],
    test: {
      file: "tests/unit/consumer/partition_ports_test.ts",
      name:
        "a partition that the database refuses stays not ready, and its outage is said once, while another is written",
    },
  },
  {
    breaks: "a write that works ends the logged outage of another partition",
    mode: 1,
    edits: [
      edit(
        "consumer/telemetry/telemetry.ts",
        "if (partition !== undefined) known.partitions.delete(partition);",
        "known.partitions.clear();",
      ),
    ],
    test: {
      file: "tests/unit/consumer/partition_ports_test.ts",
      name:
        "a partition that the database refuses stays not ready, and its outage is said once, while another is written",
    },
  },
  {
    breaks: "a partition that waits for its turn after a few failures counts as stuck",
    mode: 1,
    edits: [edit("consumer/health/progress.ts", "last - since > STALL_MS;", "now - since > STALL_MS;")],
    test: {
      file: "tests/unit/consumer/health/progress_test.ts",
      name: "liveReasons() are none while a partition that failed now and then waits minutes for its turn",
    },
  },
  {
    breaks: "a process that is red says so and does not end",
    mode: 1,
    edits: [
      edit(
        "consumer/housekeeping.ts",
        "if (progress.isStuck()) {",
        "if (signal.aborted && progress.isStuck()) {",
      ),
    ],
    test: noticedBy("liveness", STUCK),
  },
  {
    breaks: "nobody watches whether an attempt that began ever ends",
    mode: 1,
    edits: [
      edit("consumer/partition_ports.ts", "onAttempt: () => progress.mark(loop),", "onAttempt: () => {},"),
    ],
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
        "consumer/store/process_batch.ts",
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
        "consumer/store/process_batch.ts",
        "const { part, plan } = planned ??= planFirstPart(whole ??= batch.close());",
        `let { part, plan } = planned ??= planFirstPart(whole ??= batch.close());
          if (attempt > 3) {
            const rejects = Array.from({ length: plan.records.length }, (_, index) => plan.records.at(index))
              .flatMap((record) => record === undefined ? [] : [record])
              .map((record) => ({ record, reason: "database_rejected" as const, detail: "failed three times" }));
            plan = { ...plan, rejects, rows: new Int32Array(), keys: new Int32Array(1) };
          }`,
      ),
    ],
    test: noticedBy(
      "outage",
      "PostgreSQL stopped under load: not ready but alive, nothing rejected, caught up afterwards",
    ),
  },
  {
    breaks: "neither the consumer nor the database asks whether a batch begins where the offset stands",
    mode: 10,
    edits: [
      edit(
        "consumer/store/sink.ts",
        "return nextOffset === from ? undefined",
        "return nextOffset !== undefined ? undefined",
      ),
      edit("consumer/store/conclude.ts", "where ledger.next_offset = batch.from_offset", ""),
      {
        file: "migrations/0001_create_ledger_and_heartbeats.sql",
        find: "check (next_offset - first_offset = stored + duplicates + rejected + gaps)",
        replace: "check (next_offset >= first_offset)",
      },
    ],
    test: noticedBy("rebalance", FROZEN),
  },
  {
    breaks: "a partition that was given away and comes back stays closed",
    mode: 10,
    edits: [edit("consumer/consume.ts", "this.#partitions.delete(number);", "")],
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
        "consumer/partition_ports.ts",
        "if (isLockTimeout(error)) void endFrozenWriters",
        "if (isLockTimeout(error) && attempt < 0) void endFrozenWriters",
      ),
    ],
    test: noticedBy("rebalance", FROZEN),
  },
  {
    breaks: "a write that failed makes the consumer join its group anew",
    mode: 11,
    edits: [
      edit(
        "consumer/consume.ts",
        "onChange: () => this.#wakeFetchLoops(),",
        "onChange: () => this.#wakeFetchLoops(),\n      onWriteFailed: () => this.#membership.join(),",
      ),
      edit(
        "consumer/partition_ports.ts",
        "readonly onChange: () => void;",
        "readonly onChange: () => void;\n  readonly onWriteFailed: () => void;",
      ),
      edit(
        "consumer/partition_ports.ts",
        "telemetry.writeFailed(log.partition, failure, fields);",
        "telemetry.writeFailed(log.partition, failure, fields);\n    environment.onWriteFailed();",
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
    edits: WITHOUT_END,
    test: noticedBy("half_open", "a database connection that falls silent is given up, shown, and replaced"),
  },
  {
    breaks: "a COPY waits for its answer without end",
    mode: 12,
    edits: WITHOUT_END,
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
        "consumer/store/process_batch.ts",
        "const outcome = await ports.takeTurn(records, async (turn) => {",
        "ports.onAttempt();\n        const outcome = await ports.takeTurn(records, async (turn) => {",
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
        file: "workers/_shared/kafka/client.ts",
        find: "const REQUEST_TIMEOUT_MS = 10_000;",
        replace: "const REQUEST_TIMEOUT_MS = 600_000;",
      },
    ],
    test: noticedBy("half_open", "connections to Kafka that fall silent are given up, shown, and replaced"),
  },
  {
    breaks: "Kafka is asked again at once when there is nothing new",
    mode: 17,
    edits: [edit("consumer/fetch/fetch_loop.ts", "const IDLE_WAIT_MS = 500;", "const IDLE_WAIT_MS = 0;")],
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
        "consumer/fetch/fetch_loop.ts",
        "ports.onAnswer();\n  const crowded",
        'if (answer.throttled) throw new Error("the broker throttles");\n  ports.onAnswer();\n  const crowded',
      ),
    ],
    test: noticedBy(
      "idle",
      "a consumer that its quota throttles reads on without a stall, a retry or a warning",
    ),
  },
  {
    breaks: "records are fetched whether or not there is room for them",
    mode: 20,
    edits: [
      edit(
        "consumer/kafka_partition/partition.ts",
        'return this.state === "reading" && this.#waitingBytes < bufferBytes && !room.isFull;',
        'return this.state === "reading";',
      ),
    ],
    test: noticedBy(
      "memory",
      "while PostgreSQL is away half a million records wait in Kafka and not in memory, and are stored afterwards",
    ),
  },
];
