import { ok, strictEqual } from "node:assert";
import type { Intended } from "../support/judge.ts";
import type { Sent } from "../../lab/produce.ts";
import { waitForLockWait } from "../support/lock_wait.ts";
import { QUICK_TAKEOVER } from "../support/quick_takeover.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";
import { backlog, seeded } from "./backlog.ts";

const PARTITIONS = 6;

Deno.test(
  "no record is lost or stored twice while three consumers join, leave and are killed under load",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const random = seeded(3);
    const start = () => place.consumer({ env: { ...QUICK_TAKEOVER, BATCH_MAX_RECORDS: "500" } });
    const consumers = [start(), start(), start()];
    for (const consumer of consumers) await consumer.untilLogged("group.assigned");
    const sent: Sent<Intended>[] = [];
    for (let round = 0; round < 12; round++) {
      sent.push(...await place.publisher.send(backlog(round * 5_000, 5_000, PARTITIONS)));
      const index = Math.floor(random() * consumers.length);
      if (round % 3 === 2) consumers[index]?.kill("SIGKILL");
      else strictEqual(await consumers[index]?.stop(), 0);
      const next = consumers[index] = start();
      await next.untilLogged("group.assigned");
    }
    await accountFor(place, sent);
  }),
);

Deno.test(
  "a consumer that was frozen in the middle of a batch stores nothing after another consumer took over",
  onPlace({}, async (place) => {
    const frozen = place.consumer({ env: QUICK_TAKEOVER });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await place.untilCaughtUp();

    const holder = await place.session();
    await holder.query("begin; lock table public.heartbeats in share mode");
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    await waitForLockWait(place);
    frozen.kill("SIGSTOP");
    await holder.query("commit");
    await holder.end();

    const successor = place.consumer({ env: QUICK_TAKEOVER });
    // No timeout of PostgreSQL ends a session that waits for the next bytes of a COPY.
    await successor.untilLogged("database.frozen_writers_ended");
    await accountFor(place, sent);
    frozen.kill("SIGCONT");
    // The old owner discards its batch and joins the group again.
    await frozen.untilLogged("batch.stale");
    sent.push(...await place.publisher.send(backlog(600, 300, 1)));
    await accountFor(place, sent);
    strictEqual(await frozen.stop(), 0);
    sent.push(...await place.publisher.send(backlog(900, 300, 1)));
    await accountFor(place, sent);
    ok(successor.running);
  }),
);
