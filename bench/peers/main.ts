import { Command } from "commander";
import { sayProgress } from "../../stack/output.ts";
import { choice, parseSettings, secret, text } from "../../workers/_shared/env.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { PEERS } from "./mod.ts";

const PROGRAM = "peer";
const STOP_DEADLINE_MS = 8_000;

const FLAGS = {
  peer: choice(["telegraf", "python"]),
  topic: text({ expected: "a topic", default: "heartbeats" }),
  table: text({ expected: "a table's name" }),
  setting: choice(["throughput", "latency"], "throughput"),
};

const SERVERS = {
  KAFKA_BOOTSTRAP_SERVERS: text({ expected: "host:port", default: "127.0.0.1:9092" }),
  DATABASE_URL: secret({ expected: "postgres://user:password@host:5432/database" }),
};

await runWorker(async ({ args, env, signal, resources, secrets }) => {
  const command = new Command("bench:peer")
    .description("Runs another consumer on the same topic: Telegraf (needs Go), or a consumer in Python.")
    .argument("<peer>", "telegraf or python")
    .option("--topic <name>", "topic to read from its beginning (default heartbeats)")
    .option(
      "--table <name>",
      "table in the schema public, created if it is missing (default heartbeats_<peer>)",
    )
    .option("--setting <what>", "throughput or latency (default throughput)")
    .option("--prepare-only", "build the peer and exit")
    .addHelpText(
      "after",
      `
Set KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL to the values that "deno task stack" prints.

Examples:
  deno task bench:peer telegraf --prepare-only
  deno task bench:peer python --setting latency`,
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  const { prepareOnly = false, ...given } = command.opts<
    { prepareOnly?: boolean; topic?: string; table?: string; setting?: string }
  >();
  const [peer = ""] = command.args;
  const flags = parseSettings(PROGRAM, FLAGS, { table: `heartbeats_${peer}`, ...given, peer }, {
    label: (name) => name === "peer" ? "the peer" : `--${name}`,
  });
  const { title, prepare, start } = PEERS[flags.peer];
  await prepare({ onProgress: sayProgress });
  if (prepareOnly) return;
  const servers = parseSettings(PROGRAM, SERVERS, env);
  secrets.hide([servers.DATABASE_URL, databasePassword(servers.DATABASE_URL)]);
  const child = await start({
    ...flags,
    bootstrapServers: servers.KAFKA_BOOTSTRAP_SERVERS,
    databaseUrl: servers.DATABASE_URL,
    onLine: sayProgress,
  });
  resources.defer(title, () => child.stop(STOP_DEADLINE_MS));
  sayProgress(
    `${title} (process ${child.pid}) stores the topic ${flags.topic} in public.${flags.table}; Ctrl-C ends it`,
  );
  const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await Promise.race([stopped, child.exited]);
  if (!signal.aborted) {
    throw new PipelineError(
      "stack_failed",
      `Cannot go on: ${title} ended by itself: ${child.tail.join(" ")}`,
    );
  }
});

/** The decoded password. The URL contains it percent-encoded, but a log may contain it decoded. */
function databasePassword(url: string): string {
  return URL.canParse(url) ? decodeURIComponent(new URL(url).password) : "";
}
