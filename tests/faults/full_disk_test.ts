import { ok, strictEqual } from "node:assert";
import { mountSmallDisk, type SmallDisk } from "../../stack/postgres/small_disk.ts";
import { type StackOptions, startStack } from "../../stack/mod.ts";
import { moveDatabase, moveWriteAheadLog } from "../../stack/postgres_disk.ts";
import { eventually } from "../../lab/eventually.ts";
import { createPlace, type Place } from "../../lab/place.ts";
import { assertReconciled } from "./account.ts";
import { assertSurvives, countStored, PARTITIONS } from "./load.ts";
import { startProducer } from "./produce_load.ts";

const MEGABYTE = 1024 * 1024;

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
  "while PostgreSQL's disk for tables is full, a consumer is not ready but alive, and it rejects nothing",
  onDisk(48, (disk) => ({ postgresDisk: disk }), async (place, disk) => {
    await moveDatabase(place.stack, disk, place.database);
    await assertSurvives(place, async (load, consumer) => {
      await disk.fill();
      await consumer.untilNotReady(/database: Cannot write a batch .*SQLSTATE 53100\); free disk space/);
      strictEqual((await consumer.get("/livez")).status, 200);
      const before = await countStored(place);
      await load.waitForGrowth(20_000);
      strictEqual(await consumer.metric("heartbeat_rejects_total", "database_rejected"), 0);
      await disk.free();
      await eventually("progress after space was freed", async () => await countStored(place) > before);
    });
  }),
);

Deno.test(
  "while a full disk for the write-ahead log keeps PostgreSQL down, a consumer is not ready but alive, and it loses nothing",
  onDisk(160, (disk) => ({ postgresDisk: disk }), async (place, disk) => {
    const { postgres } = place.stack;
    // With these limits, PostgreSQL soon needs a new file for its write-ahead log.
    for (const line of ["min_wal_size = '32MB'", "max_wal_size = '32MB'"]) {
      await place.asSuperuser(`alter system set ${line}`);
    }
    await moveWriteAheadLog(place.stack, disk);
    await assertSurvives(place, async (load, consumer) => {
      await disk.fill();
      // PostgreSQL panics when it cannot create a file of its write-ahead log.
      await eventually("PostgreSQL to end", async () => {
        await place.asSuperuser("select pg_switch_wal()").catch(() => {});
        return !postgres.running;
      });
      ok(
        (await Deno.readTextFile(postgres.logPath)).includes("PANIC:"),
        "PostgreSQL ended for another reason than a panic",
      );
      await consumer.untilNotReady(/database: Cannot /);
      strictEqual((await consumer.get("/livez")).status, 200);
      await load.waitForGrowth(4_000);
      await disk.free();
      await postgres.start();
    });
  }),
);

Deno.test(
  "after Kafka's disk was full, each record that the producer counts as published is stored once",
  onDisk(96, (disk) => ({ kafkaDisk: disk }), async (place, disk) => {
    const { kafka } = place.stack;
    const consumer = place.consumer();
    const args = ["--rate", "2000", "--count", "60000", "--dropout-rate", "0"];
    await using producer = startProducer(place, args);
    await eventually("the first rows", async () => await countStored(place) > 2_000);
    await disk.fill();
    // Kafka exits when its only log folder fails.
    await kafka.exited;
    await consumer.untilNotReady(/(kafka|broker \d+): Cannot /);
    await producer.untilNotReady(/Kafka has not taken a record/);
    await disk.free();
    await kafka.start();
    strictEqual(await producer.exitCode({ withinMs: 180_000 }), 0, producer.tail());
    ok(/acknowledged\s+60000/.test(producer.output), producer.tail());
    await place.untilCaughtUp();
    strictEqual(await countStored(place), 60_000);
    await assertReconciled(place);
    ok(consumer.running, "the process has ended");
  }),
);
