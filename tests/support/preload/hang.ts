/**
 * Loaded before a worker that a test starts: after SIGUSR2 no query is answered and none fails. A driver that forgets a
 * query (postgres.js #1089, node-postgres #2973) hangs the loop that awaits it, however healthy both servers are.
 */
// @ts-types="@types/pg"
import pg from "pg";

let hung = false;
Deno.addSignalListener("SIGUSR2", () => void (hung = true));

const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
Object.assign(pg.Client.prototype, {
  query(this: pg.Client, ...args: unknown[]) {
    return hung && isLockOffset(args[0]) ? new Promise(() => {}) : query.apply(this, args);
  },
});

/** The first thing that a batch asks, however it is sent; the watch over liveness asks others, and is answered. */
function isLockOffset(config: unknown): boolean {
  const text = typeof config === "object" && config !== null && "text" in config ? config.text : config;
  return typeof text === "string" && /from public\.ingest_offsets\b[^]*\bfor no key update\b/.test(text);
}
