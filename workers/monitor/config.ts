/** Settings and help of the monitor. */
import { Command } from "commander";
import { readDatabaseAddress } from "../_shared/database_url.ts";
import { type Environment, parseSettings, readTogether } from "../_shared/env.ts";
import { HEALTH_SETTINGS } from "../_shared/health.ts";
import { READER_SETTINGS } from "../_shared/running_servers.ts";
import { LOG_SETTINGS } from "../_shared/telemetry.ts";
import { ACCESS_SETTINGS, readAccess } from "./access/settings.ts";

const PROGRAM = "monitor";

const WORKER_SETTINGS = { ...READER_SETTINGS, ...HEALTH_SETTINGS, ...LOG_SETTINGS };
export const MONITOR_SETTINGS = { ...WORKER_SETTINGS, ...ACCESS_SETTINGS };

/** `connections`: the queries that run at the same time, for all viewers together. */
export const READER = { connections: 4, name: "heartbeat-monitor" };

/**
 * @throws UsageError that names every wrong setting
 * @throws CommanderError after --help and for an unknown flag
 */
export function readConfig(
  args: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
) {
  createCommand().parse([...args], { from: "user" });
  const [settings, address, access] = readTogether(PROGRAM, [
    () => parseSettings(PROGRAM, WORKER_SETTINGS, env, { readFile }),
    () => readDatabaseAddress(PROGRAM, env, readFile),
    () => readAccess(PROGRAM, env, readFile),
  ]);
  return {
    databaseUrl: settings.DATABASE_URL,
    server: access.server,
    access: access.access,
    health: settings,
    log: settings,
    secrets: [...address.secrets, ...access.secrets],
  };
}

function createCommand(): Command {
  return new Command("monitor").exitOverride()
    .description(
      "Serves the page that shows customers, anomalies, rejects and the ledger live. It only reads.",
    )
    .addHelpText("after", HELP);
}

const HELP = `
On this machine, the log shows an address with a token that works once. Open it in a browser: the browser then keeps a
cookie, and the log shows the next address. With MONITOR_PASSWORD, the page asks for this password instead.

While \`deno task up\` runs, a monitor without READER_DATABASE_URL and DATABASE_URL uses its database. Otherwise one of the two
is required. It must log in as a role that can only read, such as heartbeat_reader, which \`consume --migrate-only\` creates.

Examples:
  deno task monitor
  READER_DATABASE_URL=postgres://heartbeat_reader:secret@127.0.0.1:5432/heartbeat_db deno task monitor
  HEALTH_PORT=9465 deno task monitor health-check      asks the monitor on this port; exits with 0 if it is ready
  MONITOR_HOST=0.0.0.0 MONITOR_ORIGIN=https://monitor.example.org MONITOR_PASSWORD_FILE=/run/secrets/monitor \\
    MONITOR_TLS_CERT_FILE=cert.pem MONITOR_TLS_KEY_FILE=key.pem deno task monitor

Environment: READER_DATABASE_URL or DATABASE_URL, MONITOR_HOST (127.0.0.1), MONITOR_PORT (8787, or another port if it is
taken), MONITOR_ORIGIN, MONITOR_PASSWORD, MONITOR_TLS_CERT_FILE, MONITOR_TLS_KEY_FILE, MONITOR_TRUSTED_PROXIES,
HEALTH_HOST (127.0.0.1), HEALTH_PORT (0 = any), LOG_LEVEL (info), LOG_FORMAT (pretty).
An address other than loopback needs MONITOR_PASSWORD, and TLS files or MONITOR_TRUSTED_PROXIES.

Exit codes: 0 orderly stop, 1 failure, 2 wrong settings, 130 stopped before it was done.`;
