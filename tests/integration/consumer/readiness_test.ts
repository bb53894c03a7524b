/** Readiness before there is anything to do, and when there is nothing to do. */
import { match, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { onPlace } from "../../support/services.ts";

Deno.test(
  "an idle consumer says that the database is away, stays alive, and is ready again when it is back",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    await consumer.said("partition.opened");
    await consumer.ready();
    await place.stack.postgres.stop();
    await consumer.notReady(/database: Cannot ask at PostgreSQL/);
    strictEqual((await consumer.get("/livez")).status, 200);
    await place.stack.postgres.start();
    await consumer.ready();
  }),
);

Deno.test(
  "a consumer is not ready from the first moment: not before its schema is current, nor before the group has it",
  onPlace({}, async (place) => {
    // The lock under which the ledger of migrations is made.
    const holder = await place.session();
    await holder.query("begin; select pg_advisory_xact_lock(7521419864366932340)");
    const first = place.consumer();
    await eventually("the migration to wait for the lock", async () => {
      const rows = await place.sql(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return rows.length === 1;
    });
    const early = await first.get("/readyz");
    strictEqual(early.status, 503, early.text);
    match(early.text, /database: not connected yet, .*kafka: not connected yet.*group: not joined yet/);
    await holder.query("commit");
    await holder.end();
    await first.ready();

    // A frozen member keeps the group from letting the next one in, until its session is over.
    first.kill("SIGSTOP");
    const second = place.consumer();
    await second.said("topic.found");
    const joining = await second.get("/readyz");
    strictEqual(joining.status, 503, joining.text);
    match(joining.text, /"reasons":\["group: not joined yet"\]/);
    await second.ready();
    strictEqual(
      await second.metric("heartbeat_assigned_partitions"),
      1,
      "ready, but it has nothing to read yet",
    );
    first.kill("SIGKILL");
  }),
);

Deno.test(
  "a consumer that waits for the group behind a member that died stops in order",
  onPlace({}, async (place) => {
    const first = place.consumer();
    await first.ready();
    first.kill("SIGKILL");
    const second = place.consumer();
    let state: string | undefined;
    await eventually("the group to wait for the member that died", async () => {
      const groups = await place.admin.describeGroups({ groups: [place.topic] });
      state = groups.get(place.topic)?.state;
      return /preparing_?rebalance/i.test(state ?? "");
    }, { seen: () => state });
    await second.notReady(/group: not joined yet/);
    strictEqual(await second.stop(), 0);
  }),
);
