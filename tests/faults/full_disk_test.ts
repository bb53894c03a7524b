/** Disks that are really full (ENOSPC) under load. Nothing is rejected or lost; with space, everything is caught up with. */
import { ok, strictEqual } from "node:assert";
import { mountSmallDisk, type SmallDisk } from "../../stack/postgres/small_disk.ts";
import { type StackOptions, startStack } from "../../stack/mod.ts";
import { moveDatabase, moveWriteAheadLog } from "../../stack/postgres_disk.ts";
import { eventually } from "../../lab/eventually.ts";
import { createPlace, type Place } from "../../lab/place.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";
import { PARTITIONS, stored, survives } from "./load.ts";

const MEGABYTE = 1024 * 1024;

/** The body of a test whose servers are its own, since a full disk spares nobody. */
function onDisk(
  megabytes: number,
  servers: (disk: SmallDisk) => Partial<StackOptions>,
  body: (place: Place, disk: SmallDisk) => Promise<void>,
): (t: Deno.TestContext) => Promise<void> {
  return async (t) => {
    await using disk = await mountSmallDisk(megabytes * MEGABYTE);
    const home = await Deno.makeTempDir({ prefix: "heartbeat-test-" });
    const stack = await startStack({ home, ...servers(disk) });
    try {
      await using place = await createPlace(stack, t.name, { partitions: PARTITIONS });
      try {
        await body(place, disk);
      } catch (error) {
        throw new Error(place.workersTail(), { cause: error });
      }
    } finally {
      await stack.destroy();
    }
  };
}

Deno.test(
  "PostgreSQL's disk for tables is full: not ready because of 53100 but alive, nothing rejected, caught up with space",
  onDisk(48, (disk) => ({ postgresDisk: disk }), async (place, disk) => {
    await moveDatabase(place.stack, disk, place.database);
    await survives(place, async (load, consumer) => {
      await disk.fill();
      await consumer.notReady(/database: Cannot write a batch .*SQLSTATE 53100\); free disk space/);
      strictEqual((await consumer.get("/livez")).status, 200);
      const before = await stored(place);
      await load.grows(20_000);
      strictEqual(await consumer.metric("heartbeat_rejects_total", "database_rejected"), 0);
      await disk.free();
      await eventually("progress with space", async () => await stored(place) > before);
    });
  }),
);

Deno.test(
  "PostgreSQL's disk for the write-ahead log is full: the server dies, nothing is lost, caught up with space",
  onDisk(160, (disk) => ({ postgresDisk: disk }), async (place, disk) => {
    const { postgres } = place.stack;
    // The least that it keeps in stock, so that it soon needs a file that it has no space for.
    for (const line of ["min_wal_size = '32MB'", "max_wal_size = '32MB'"]) {
      await place.asSuperuser(`alter system set ${line}`);
    }
    await moveWriteAheadLog(place.stack, disk);
    await survives(place, async (load, consumer) => {
      await disk.fill();
      // It panics at the first file that it cannot make, and again when it recovers.
      await eventually("PostgreSQL to die", async () => {
        await place.asSuperuser("select pg_switch_wal()").catch(() => {});
        return !postgres.running;
      });
      ok((await Deno.readTextFile(postgres.logPath)).includes("PANIC:"), "it died of a panic");
      await consumer.notReady(/database: Cannot /);
      strictEqual((await consumer.get("/livez")).status, 200);
      await load.grows(4_000);
      await disk.free();
      await postgres.start();
    });
  }),
);

Deno.test(
  "Kafka's disk is full: what the producer counts as published is stored once when there is space again",
  onDisk(96, (disk) => ({ kafkaDisk: disk }), async (place, disk) => {
    const { kafka } = place.stack;
    const consumer = place.consumer();
    await using producer = WorkerProcess.start("producer", {
      env: {
        KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
        KAFKA_TOPIC: place.topic,
        LOG_FORMAT: "json",
      },
      args: ["--rate", "2000", "--count", "60000", "--dropout-rate", "0"],
    });
    await eventually("the first rows", async () => await stored(place) > 2_000);
    await disk.fill();
    // Its only log folder failed: it has nothing left to serve from.
    await kafka.exited;
    await consumer.notReady(/(kafka|broker \d+): Cannot /);
    await producer.notReady(/Kafka has not taken a record/);
    await disk.free();
    await kafka.start();
    strictEqual(await producer.exitCode({ withinMs: 180_000 }), 0, producer.tail());
    ok(/acknowledged\s+60000/.test(producer.output), producer.tail());
    await place.caughtUp();
    strictEqual(await stored(place), 60_000);
    const { code, output } = await place.run("reconcile");
    strictEqual(code, 0, output);
    ok(consumer.running, "the same process outlived it");
  }),
);
