/** Uses the operator's servers. The database must hold no readings, because the judge compares all rows. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Admin } from "@platformatic/kafka";
import { type Link, openLink } from "../../stack/network/link.ts";
import { type Environment, parseSettings } from "../../workers/_shared/env.ts";
import { PipelineError, UsageError } from "../../workers/_shared/errors.ts";
import { kafkaConnection } from "../../workers/_shared/kafka/client.ts";
import { createTopic } from "../../workers/_shared/kafka/topic.ts";
import { DATABASE_SETTINGS, openDatabase, sessionLimits } from "../../workers/_shared/postgres.ts";
import type { Arena } from "./arena.ts";

const POSTGRES_PORT = 5432;

export interface ForeignArenaOptions {
  readonly seed: number;
  readonly partitions: number;
  readonly random: () => number;
  readonly env: Environment;
  readonly readFile: (path: string) => string;
}

/** @throws UsageError if settings are wrong, or if the database holds readings or a ledger */
export async function openForeignArena(options: ForeignArenaOptions): Promise<Arena> {
  const { seed, partitions, random, env, readFile } = options;
  const shape = { DATABASE_URL: DATABASE_SETTINGS.DATABASE_URL };
  const { DATABASE_URL: databaseUrl } = parseSettings("chaos", shape, env, { readFile });
  const topic = `heartbeat-chaos-${seed}-${randomBytes(4).toString("hex")}`;
  const kafka = kafkaConnection("chaos", "heartbeat-chaos", { ...env, KAFKA_TOPIC: topic }, readFile);
  await requireEmptyDatabase(databaseUrl);
  await using opened = new AsyncDisposableStack();
  const link = await linkTo(databaseUrl, env, random);
  if (link !== undefined) opened.use(link);
  if (!await createTopic(kafka, partitions)) {
    throw new PipelineError("kafka_refused", `Cannot create the topic ${topic}: it exists already`);
  }
  opened.defer(async () => {
    const admin = new Admin({ ...kafka.options, retries: 3 });
    await admin.deleteTopics({ topics: [topic] }).finally(() => admin.close());
  });
  const folder = await Deno.makeTempDir({ prefix: "heartbeat-chaos-" });
  const keeping = { keep: false };
  opened.defer(() => keeping.keep ? undefined : Deno.remove(folder, { recursive: true }));
  const owned = opened.move();
  return {
    topic,
    kafka,
    databaseUrl,
    producerKafka: kafka,
    // The consumers inherit all other settings, secrets too.
    consumerEnv: link === undefined ? {} : { DATABASE_URL: link.through(databaseUrl) },
    targets: ["consumer", "rollup", ...(link === undefined ? [] : ["link consumer-PostgreSQL" as const])],
    servers: {},
    links: link === undefined ? {} : { "link consumer-PostgreSQL": link },
    folder,
    pidFile: (name) => join(folder, `${name}.pid`),
    location: `topic ${topic} (deleted at the end), rows in your database (they stay), logs in ${folder}`,
    close: async ({ keep }) => {
      keeping.keep = keep;
      await owned.disposeAsync();
    },
  };
}

async function requireEmptyDatabase(databaseUrl: string): Promise<void> {
  const options = { connections: 1, limits: sessionLimits(30_000), name: "heartbeat-chaos" };
  await using database = openDatabase(databaseUrl, options);
  const [{ exists } = { exists: false }] = await database.query<{ exists: boolean }>(
    "select to_regclass('public.ingest_offsets') is not null or to_regclass('public.heartbeats') is not null as exists",
  );
  if (!exists) return;
  const [{ rows } = { rows: "0" }] = await database.query<{ rows: string }>(
    `select (select count(*) from public.ingest_offsets) +
            (select count(*) from (select from public.heartbeats limit 1) reading) as rows`,
  );
  if (Number(rows) === 0) return;
  throw new UsageError(
    `Cannot start chaos: the database ${database.target} holds readings or a ledger already, expected an empty one; ` +
      "create a database for this run (create database heartbeat_chaos) and name it in DATABASE_URL",
  );
}

/** @returns undefined if no link is possible; with TLS, for example, the certificate does not name the link's host */
export async function linkTo(
  databaseUrl: string,
  env: Environment,
  random: () => number,
): Promise<Link | undefined> {
  const { hostname, port, searchParams } = new URL(databaseUrl);
  const withTls = (searchParams.get("sslmode") ?? "disable") !== "disable";
  if (hostname === "" || searchParams.has("host") || withTls) return undefined;
  // A link needs DATABASE_URL, but the consumers inherit this setting and refuse to start with both.
  if ((env["DATABASE_URL_FILE"] ?? "") !== "") return undefined;
  return await openLink({ host: hostname, port: port === "" ? POSTGRES_PORT : Number(port) }, random);
}
