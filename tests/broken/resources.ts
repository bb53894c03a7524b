/** Full disks, a read-only database, a standby that takes over, a broker that is slow or silent. */
import type { BrokenBuild } from "./broken_build.ts";

const FULL_DISK = "tests/faults/full_disk_test.ts";
const READ_ONLY = "tests/faults/read_only_test.ts";
const FAILOVER = "tests/faults/failover_test.ts";
const BROKER = "tests/faults/broker_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "the number of a full memory is taken for that of a full disk: nobody is told to make room",
    edits: [{ file: "workers/_shared/postgres.ts", find: "[/^53100/, /./", replace: "[/^53200/, /./" }],
    test: {
      file: FULL_DISK,
      name:
        "PostgreSQL's disk for tables is full: not ready because of 53100 but alive, nothing rejected, caught up with space",
    },
  },
  {
    breaks: "a batch is tried four times, then the process ends",
    edits: [{
      file: "workers/consumer/store/process_batch.ts",
      find: "ports.onFailure(error, attempt);",
      replace: "if (attempt > 3) throw error;\n        ports.onFailure(error, attempt);",
    }],
    test: {
      file: FULL_DISK,
      name:
        "PostgreSQL's disk for the write-ahead log is full: the server dies, nothing is lost, caught up with space",
    },
  },
  {
    breaks: "the producer counts a record as published without waiting for the broker's answer",
    edits: [{
      file: "workers/producer/deliver.ts",
      find: "const place = await before(gaveUp, sender.send(batch));",
      replace: "const place = { partition: 0, firstOffset: 0n };\n      sender.send(batch).catch(() => {});",
    }],
    test: {
      file: FULL_DISK,
      name:
        "Kafka's disk is full: what the producer counts as published is stored once when there is space again",
    },
  },
  {
    breaks:
      "a database that answers is expected to take writes: read-only for a minute, and the process ends itself",
    edits: [{
      file: "workers/_shared/postgres.ts",
      find: "/^(08|25006|53|57P|58)/",
      replace: "/^(08|53|57P|58)/",
    }],
    test: {
      file: READ_ONLY,
      name:
        "a database that turns read-only under load: not ready because of 25006, alive for as long as it takes, nothing rejected",
    },
  },
  {
    breaks: "a consumer that starts while the database is read-only takes that for a wrong setting and ends",
    edits: [{ file: "workers/_shared/postgres.ts", find: "/^(28|3D|42)/", replace: "/^(2[58]|3D|42)/" }],
    test: {
      file: READ_ONLY,
      name:
        "a consumer that starts on a read-only database waits, says so, and migrates when it turns writable",
    },
  },
  {
    breaks: "a commit is taken for done before the synchronous standby has it, since that is quicker",
    edits: [{
      file: "workers/_shared/postgres.ts",
      find: "set_config('timezone', 'UTC', false),",
      replace: "set_config('timezone', 'UTC', false), set_config('synchronous_commit', 'local', false),",
    }],
    test: {
      file: FAILOVER,
      name:
        "a primary killed under load and its synchronous standby promoted: what was acknowledged is there, and once",
    },
  },
  {
    breaks: "only an offset ahead of ours counts as moved: one behind is written to as if it were ours",
    edits: [{
      file: "workers/consumer/store/sink.ts",
      find: "return nextOffset === from ? undefined",
      replace: "return nextOffset !== undefined && nextOffset <= from ? undefined",
    }, {
      file: "workers/consumer/store/conclude.ts",
      find: "where ledger.next_offset = batch.from_offset",
      replace: "where ledger.next_offset <= batch.from_offset",
    }],
    test: {
      file: FAILOVER,
      name: "a standby that lagged is promoted under load: what it had not got is read again from Kafka",
    },
  },
  {
    breaks: "who has nothing to write does not look whether the ledger is still where he left it",
    edits: [{
      file: "workers/consumer/housekeeping.ts",
      find: ".then(() => noticeOlderLedger(watched))",
      replace: "",
    }],
    test: {
      file: FAILOVER,
      name:
        "a standby that lagged is promoted while nothing comes: the consumer notices, and reads again what it had not got",
    },
  },
  {
    breaks: "a ledger row that the database does not have is not opened again",
    edits: [{
      file: "workers/consumer/kafka_partition/partition.ts",
      find: "      return this.doubt();",
      replace: "      return;",
    }],
    test: {
      file: FAILOVER,
      name:
        "a standby that never heard of the log is promoted: its ledger is opened anew, and everything read again",
    },
  },
  {
    breaks: "a request to Kafka may go unanswered for ten minutes before anybody says so",
    edits: [{
      file: "workers/_shared/kafka/client.ts",
      find: "requestTimeout: REQUEST_TIMEOUT_MS,",
      replace: "requestTimeout: 60 * REQUEST_TIMEOUT_MS,",
    }],
    test: {
      file: BROKER,
      name:
        "a broker that accepts connections and never answers: consumer and producer wait, say so, and begin when it speaks",
    },
  },
  {
    breaks: "a batch that is too large for its topic is sent again and again as it is",
    edits: [{ file: "workers/producer/deliver.ts", find: '"MESSAGE_TOO_LARGE", ', replace: "" }],
    test: {
      file: BROKER,
      name:
        "a topic that takes small batches only: the producer sends smaller ones, and every record is stored",
    },
  },
  {
    breaks: "of a rejected record no more than its first megabyte is kept",
    edits: [{
      file: "workers/consumer/store/batch_transaction.ts",
      find: "row.bytea(bytes);",
      replace: "row.bytea(bytes.subarray(0, 1_048_576));",
    }],
    test: {
      file: BROKER,
      name:
        "a topic that takes records of megabytes: they are read whole, rejected with their bytes, and hold nothing up",
    },
  },
];
