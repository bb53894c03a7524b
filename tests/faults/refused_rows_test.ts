import { match, ok, strictEqual } from "node:assert";
import { type Intended, reading } from "../support/judge.ts";
import type { Sent } from "../../lab/produce.ts";
import { QUICK_TAKEOVER } from "../support/quick_takeover.ts";
import { onPlace } from "../support/services.ts";
import { logStatements } from "../support/statements.ts";
import { accountFor } from "./account.ts";

const T = "2026-07-14T09:30:00Z";

Deno.test(
  "one refused row among n rows costs O(log n) more statements, and all other rows are stored",
  onPlace({}, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    await place.sql("alter table public.heartbeats add constraint not_this check (heart_rate <> 99)");
    const { env, take } = await logStatements(place);
    const sent: Sent<Intended>[] = [];
    for (const count of [1_000, 8_000]) {
      const records = (prefix: string, refused: number | undefined) =>
        Array.from({ length: count }, (_, index): Intended => {
          const record = reading(`${prefix}-${count}-${index}`, T, index === refused ? 99 : 70);
          return index === refused ? { ...record, fate: { reject: "database_rejected" } } : record;
        });
      // Counts only the statements of a batch's transaction. The number of other statements depends on timing.
      const isOfBatch = (statement: string) => /^(begin|commit|.*savepoint|copy|with)\b/.test(statement);
      const cost = async (batch: Intended[]) => {
        sent.push(...await place.publisher.send(batch, { inOneRequest: true }));
        await take();
        await place.consumeAll({ env });
        return (await take()).filter(isOfBatch).length;
      };
      const clean = await cost(records("clean", undefined));
      const refused = await cost(records("refused", Math.floor(count * 0.637)));
      // Each halving writes two halves in savepoints, with three statements for each half.
      const halvings = Math.ceil(Math.log2(count));
      ok(refused - clean <= 7 * (halvings + 1), `${refused - clean} more statements for ${count} rows`);
    }
    const details = await place.sql<{ detail: string }>("select detail from public.heartbeat_rejects");
    for (const { detail } of details) {
      match(detail, /^PostgreSQL refused it: .*violates check constraint "not_this"/);
    }
    await accountFor(place, sent);
  }),
);

Deno.test(
  "a consumer writes a batch in smaller parts if the database refuses each of its rows slowly",
  onPlace({}, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    // Each refusal takes 0.02 s, so the whole batch takes longer than one attempt may last.
    await place.sql(`
      create function refuse() returns trigger language plpgsql as $$
      begin
        perform pg_sleep(0.02);
        raise exception 'not this' using errcode = 'check_violation', constraint = 'not_this';
      end $$;
      create trigger refuse before insert on public.heartbeats for each row execute function refuse()`);
    const refused = Array.from({ length: 400 }, (_, index): Intended => {
      return { ...reading(`a-${index}`, T, 70), fate: { reject: "database_rejected" } };
    });
    const sent = await place.publisher.send(refused, { inOneRequest: true });
    const consumer = place.consumer({ env: QUICK_TAKEOVER });
    await place.untilCaughtUp({ withinMs: 300_000 });
    ok(consumer.running, "the process has ended");
    await accountFor(place, sent);
  }),
);
