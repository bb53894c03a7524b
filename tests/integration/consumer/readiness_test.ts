import { match, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { waitForLockWait } from "../../support/lock_wait.ts";
import { onPlace } from "../../support/services.ts";

Deno.test(
  "while the database is down, an idle consumer is not ready but alive, and it is ready again afterwards",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    await consumer.untilLogged("partition.opened");
    await consumer.untilReady();
    await place.stack.postgres.stop();
    await consumer.untilNotReady(/database: Cannot ask at PostgreSQL/);
    strictEqual((await consumer.get("/livez")).status, 200);
    await place.stack.postgres.start();
    await consumer.untilReady();
  }),
);

Deno.test(
  "a consumer is not ready until the schema is current and its group accepts it",
  onPlace({}, async (place) => {
    // Migrations need this lock, so the consumer waits.
    const holder = await place.session();
    await holder.query("begin; select pg_advisory_xact_lock(7521419864366932340)");
    const first = place.consumer();
    await waitForLockWait(place);
    const early = await first.get("/readyz");
    strictEqual(early.status, 503, early.text);
    match(early.text, /database: not connected yet, .*kafka: not connected yet.*group: not joined yet/);
    await holder.query("commit");
    await holder.end();
    await first.untilReady();

    // The group accepts no new member until the session timeout, because it waits for the frozen member.
    first.kill("SIGSTOP");
    const second = place.consumer();
    await second.untilLogged("topic.found");
    const joining = await second.get("/readyz");
    strictEqual(joining.status, 503, joining.text);
    match(joining.text, /"reasons":\["group: not joined yet"\]/);
    await second.untilReady();
    strictEqual(
      await second.metric("heartbeat_assigned_partitions"),
      1,
      "a ready consumer must have its partition",
    );
    first.kill("SIGKILL");
  }),
);

Deno.test(
  "a consumer exits with code 0 if it is stopped while its group waits for a killed member",
  onPlace({}, async (place) => {
    const first = place.consumer();
    await first.untilReady();
    first.kill("SIGKILL");
    const second = place.consumer();
    let state: string | undefined;
    await eventually("the group to wait for the killed member", async () => {
      const groups = await place.admin.describeGroups({ groups: [place.topic] });
      state = groups.get(place.topic)?.state;
      return /preparing_?rebalance/i.test(state ?? "");
    }, { seen: () => state });
    await second.untilNotReady(/group: not joined yet/);
    strictEqual(await second.stop(), 0);
  }),
);
