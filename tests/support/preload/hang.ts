// @ts-types="@types/pg"
import pg from "pg";

// Preloaded into a worker: after SIGUSR2 the first query of each batch is never answered. Drivers have lost queries like this
// (postgres.js #1089, node-postgres #2973). Then the loop that waits for the answer hangs, although both servers are healthy.
let hung = false;
Deno.addSignalListener("SIGUSR2", () => void (hung = true));

const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
Object.assign(pg.Client.prototype, {
  query(this: pg.Client, ...args: unknown[]) {
    return hung && isLockOffset(args[0]) ? new Promise(() => {}) : query.apply(this, args);
  },
});

// Other queries must be answered, such as those of the liveness check.
function isLockOffset(config: unknown): boolean {
  const text = typeof config === "object" && config !== null && "text" in config ? config.text : config;
  return typeof text === "string" && /from public\.ingest_offsets\b[^]*\bfor no key update\b/.test(text);
}
