/** What breaks a consumer and a producer when brokers die, logs lose their end, and acknowledgements are lost. */
import type { BrokenBuild } from "./broken_build.ts";

const CLUSTER = "tests/faults/cluster_test.ts";
const STANDSTILL = "tests/faults/standstill_test.ts";
const ALONE =
  "a broker is away that alone has a partition: a new consumer and a new producer go on with the others, and with all";
const PRODUCER = "tests/faults/producer_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "the leaders of a topic are those of the first look",
    edits: [{
      file: "workers/consumer/consume.ts",
      find: "this.#topic = topic;",
      replace: "this.#topic ??= topic;",
    }],
    test: {
      file: CLUSTER,
      name:
        "the leader of every partition is killed under load, one after the other: nothing acknowledged is lost",
    },
  },
  {
    breaks: "a broker that does not answer ends the consumer",
    edits: [{
      file: "workers/consumer/fetch/fetch_facts.ts",
      find: "telemetry.kafkaFailed(failure, fields);",
      replace: "telemetry.kafkaFailed(failure, fields);\n      throw failure;",
    }],
    test: {
      file: CLUSTER,
      name:
        "all brokers and the controller are restarted in turn under load: nothing is lost, nobody has to be helped",
    },
  },
  {
    breaks: "the producer takes the leader's word alone for an acknowledgement",
    edits: [{
      file: "workers/producer/sender.ts",
      find: "const ALL_IN_SYNC_REPLICAS = -1;",
      replace: "const ALL_IN_SYNC_REPLICAS = 1;",
    }],
    test: {
      file: CLUSTER,
      name:
        "with two of three copies away nothing is called sent, producer and consumer wait, and go on when they return",
    },
  },
  {
    breaks: "a coordinator that does not answer ends the consumer",
    edits: [{
      file: "workers/consumer/consume.ts",
      find: "progress.outside();",
      replace: "progress.outside();\n        options.fail(failure);",
    }],
    test: {
      file: CLUSTER,
      name:
        "the group's coordinator dies: its members go on, one more is let in, and one that leaves is replaced",
    },
  },
  {
    breaks: "the leader epoch of what was read is not kept with the offset",
    edits: [{
      file: "workers/consumer/store/conclude.ts",
      find: "leader_epoch = batch.leader_epoch, leader_epoch_at = batch.next_offset,",
      replace: "leader_epoch = nullif(batch.leader_epoch, batch.leader_epoch),",
    }],
    test: {
      file: CLUSTER,
      name:
        "an unclean election loses stored records, and the log grows past them unseen: held, the others go on, then read anew",
    },
  },
  {
    breaks: "a fetch does not say of which leader epoch the last record was",
    edits: [{
      file: "workers/_shared/kafka/fetcher.ts",
      find: "lastFetchedEpoch: lastEpoch,",
      replace: "lastFetchedEpoch: -1,",
    }],
    test: {
      file: CLUSTER,
      name:
        "an unclean election loses stored records, and the log grows past them unseen: held, the others go on, then read anew",
    },
  },
  {
    breaks: "a log that was cut is read anew within the same generation of the ledger",
    edits: [{
      file: "workers/consumer/partition_ports.ts",
      find: "partition.ledger.generation + 1",
      replace: "partition.ledger.generation",
    }],
    test: {
      file: CLUSTER,
      name:
        "an unclean election under a running consumer that may read anew: reported, all that is left is stored, it goes on",
    },
  },
  {
    breaks: "the producer gives a batch up after three tries",
    mode: 18,
    edits: [{
      file: "workers/producer/deliver.ts",
      find: "for (let attempt = 1; !gaveUp.aborted; attempt++) {",
      replace: "for (let attempt = 1; attempt <= 3 && !gaveUp.aborted; attempt++) {",
    }],
    test: {
      file: PRODUCER,
      name:
        "a broker that is killed under load, three times: all that the producer calls sent is stored, and it goes on",
    },
  },
  {
    breaks: "the producer believes that a request without an answer arrived",
    edits: [{
      file: "workers/producer/deliver.ts",
      find: "if (gaveUp.aborted) break;",
      replace:
        'if (gaveUp.aborted) break;\n      if (String(error).includes("imed out")) return tally.published(records.length, bytes, 0);',
    }],
    test: {
      file: PRODUCER,
      name: "a broker that hangs with requests in hand: the producer says so, sends them again, and goes on",
    },
  },
  {
    breaks: "a batch whose connection broke is not sent again",
    mode: 18,
    edits: [{
      file: "workers/producer/deliver.ts",
      find: "await sleep(retryInMs, { signal: gaveUp });",
      replace: "break;",
    }],
    test: {
      file: PRODUCER,
      name:
        "a broker that lost its log and what it knew of producers: the producer goes on, and what it sends is stored",
    },
  },
  {
    breaks: "the group is not joined while a partition has no leader",
    edits: [{
      file: "workers/_shared/kafka/membership.ts",
      find: "    bearLeaderless(this.#consumer);\n",
      replace: "",
    }],
    test: { file: STANDSTILL, name: ALONE },
  },
  {
    breaks: "the producer does not begin while a partition has no leader",
    edits: [{
      file: "workers/producer/sender.ts",
      find: "bearLeaderless(new Base(connection.options))",
      replace: "new Base(connection.options)",
    }],
    test: { file: STANDSTILL, name: ALONE },
  },
  {
    breaks: "what is wrong with a topic is taken for a partition without a leader",
    edits: [{
      file: "workers/_shared/kafka/leaderless.ts",
      find: 'OF_A_PARTITION.test(path ?? "") && WITHOUT_LEADER',
      replace: "WITHOUT_LEADER",
    }],
    test: {
      file: "tests/unit/_shared/kafka/leaderless_test.ts",
      name:
        "bearLeaderless() hides nothing else: what is wrong with the topic, with a partition, or with another request",
    },
  },
  {
    breaks: "records on a broker that is away count as lag of ours",
    mode: 1,
    edits: [{
      file: "workers/consumer/kafka_partition/partition.ts",
      find: 'this.state === "held" || this.outOfReach',
      replace: 'this.state === "held"',
    }],
    test: {
      file: STANDSTILL,
      name:
        "a broker goes away with records that nobody else has: the consumer stays alive for as long, and stores them then",
    },
  },
  {
    breaks: "records that cannot be read count as lag of ours",
    mode: 1,
    edits: [{
      file: "workers/consumer/housekeeping.ts",
      find: "sum + partition.due",
      replace: "sum + Math.max(0, partition.endOffset - (partition.nextOffset ?? Infinity))",
    }],
    test: {
      file: STANDSTILL,
      name:
        "a batch that cannot be read stops its partition: readiness names it, the process stays alive, the others go on",
    },
  },
  {
    breaks: "a record for one partition ends the outage of another",
    edits: [{
      file: "workers/producer/telemetry.ts",
      find: "if (partition !== undefined) partitions.delete(partition);",
      replace: "partitions.clear();",
    }],
    test: {
      file: "tests/unit/producer/publish_test.ts",
      name: "publish() goes on with the other partitions while one takes nothing, and says that once",
    },
  },
];
