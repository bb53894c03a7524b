import assert from "node:assert/strict";
import { join } from "node:path";
import type { Environment } from "../../../workers/_shared/env.ts";
import { UsageError } from "../../../workers/_shared/errors.ts";
import { withRunningServers } from "../../../workers/_shared/running_servers.ts";

const ADDRESSES = {
  KAFKA_BOOTSTRAP_SERVERS: "127.0.0.1:19092",
  DATABASE_URL: "postgres://me:secret@127.0.0.1:15432/db",
};

const READER = "postgres://reader:secret@127.0.0.1:15432/db";
const LOGINS = {
  HEARTBEAT_WRITER_PASSWORD: "writer-secret",
  HEARTBEAT_READER_PASSWORD: "reader-secret",
  READER_DATABASE_URL: READER,
};

/** Creates a data folder with the address file. If `running`, a process holds its lock. */
async function withHome(
  running: boolean,
  work: (home: string) => Promise<void>,
  contents: Environment = ADDRESSES,
): Promise<void> {
  const home = await Deno.makeTempDir();
  const lines = Object.entries(contents).map(([name, value]) => `${name}=${value}\n`);
  await Deno.writeTextFile(join(home, "addresses.env"), `# Written by \`deno task up\`\n${lines.join("")}`);
  using lock = await Deno.open(join(home, "lock"), { create: true, write: true });
  if (running) await lock.lock(true);
  try {
    await work(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

const load = (env: Environment) => ({ ...env });
const needsDatabase = (env: Environment) => {
  if (!env["DATABASE_URL"]) throw new UsageError("DATABASE_URL: is missing");
  return env;
};

Deno.test("withRunningServers() adds the addresses that are absent or empty, and names the file that it took them from", async () => {
  await withHome(true, async (home) => {
    const { config, note } = await withRunningServers({ DATABASE_URL: "", LOG_LEVEL: "info" }, load, {
      home,
    });
    assert.deepEqual(config, { ...ADDRESSES, LOG_LEVEL: "info" });
    assert.ok(
      note?.includes(join(home, "addresses.env")) && !note.includes("secret"),
      `unexpected note: ${note}`,
    );
  });
});

Deno.test("withRunningServers() adds only the addresses that the program needs, even if one address of these servers is set", async () => {
  await withHome(true, async (home) => {
    const { DATABASE_URL: _, ...kafka } = ADDRESSES;
    const needed = ["KAFKA_BOOTSTRAP_SERVERS"] as const;
    assert.deepEqual((await withRunningServers({}, load, { home, needed })).config, kafka);
    assert.deepEqual((await withRunningServers(kafka, load, { home })).config, ADDRESSES);
  });
});

Deno.test("withRunningServers() does not change an environment that names another server", async () => {
  await withHome(true, async (home) => {
    for (
      const env of [
        { KAFKA_BOOTSTRAP_SERVERS: "other:9092" },
        { DATABASE_URL: "postgres://other/db" },
        { DATABASE_URL_FILE: "/run/secrets/url" },
        { ...ADDRESSES, DATABASE_URL: "postgres://other/db" },
      ]
    ) {
      const { config, note } = await withRunningServers(env, load, { home });
      assert.deepEqual({ config, note }, { config: env, note: undefined });
    }
    await assert.rejects(
      withRunningServers({ KAFKA_BOOTSTRAP_SERVERS: "other:9092" }, needsDatabase, { home }),
      /is missing\n.*is not used: KAFKA_BOOTSTRAP_SERVERS is set/,
    );
  });
});

Deno.test("withRunningServers() gives a program that only reads the reader's login, from the file or the environment", async () => {
  const url = async (env: Environment, home: string) =>
    (await withRunningServers(env, load, { home, reads: true })).config.DATABASE_URL;
  await withHome(true, async (home) => {
    assert.equal(await url({}, home), READER);
    assert.equal((await withRunningServers({}, load, { home })).config.DATABASE_URL, ADDRESSES.DATABASE_URL);
    // The owner's address is one of these servers, too.
    assert.equal(await url({ DATABASE_URL: ADDRESSES.DATABASE_URL }, home), ADDRESSES.DATABASE_URL);
    const own = {
      ...ADDRESSES,
      DATABASE_URL: "postgres://owner/db",
      READER_DATABASE_URL: "postgres://mine/db",
    };
    assert.equal(await url(own, home), "postgres://mine/db");
    const file = { READER_DATABASE_URL_FILE: "/run/secrets/url", DATABASE_URL: "postgres://owner/db" };
    const { config } = await withRunningServers(file, load, { home, reads: true });
    assert.deepEqual([config.DATABASE_URL, config.DATABASE_URL_FILE], [undefined, "/run/secrets/url"]);
  }, { ...ADDRESSES, ...LOGINS });
});

Deno.test("withRunningServers() takes the passwords of the roles from the file, and only with an address", async () => {
  await withHome(true, async (home) => {
    const env = { HEARTBEAT_WRITER_PASSWORD: "other", HEARTBEAT_READER_PASSWORD_FILE: "/run/secrets/reader" };
    const { READER_DATABASE_URL: _, ...passwords } = LOGINS;
    const { config } = await withRunningServers(env, load, { home });
    assert.deepEqual(config, {
      ...ADDRESSES,
      ...passwords,
      HEARTBEAT_WRITER_PASSWORD_FILE: undefined,
      HEARTBEAT_READER_PASSWORD_FILE: undefined,
    });
    const set = { ...ADDRESSES, ...env };
    assert.deepEqual((await withRunningServers(set, load, { home })).config, set);
  }, { ...ADDRESSES, ...LOGINS });
});

Deno.test("withRunningServers() ignores the file of a process that has ended", async () => {
  await withHome(false, async (home) => {
    assert.deepEqual(await withRunningServers({}, load, { home }), { config: {}, note: undefined });
    await assert.rejects(withRunningServers({}, needsDatabase, { home }), /is missing\n.*has ended/);
  });
});

Deno.test("withRunningServers() does not change the environment if no servers were started", async () => {
  const home = join(import.meta.dirname ?? "", "no-such-folder");
  assert.deepEqual(await withRunningServers({}, load, { home }), { config: {}, note: undefined });
  await assert.rejects(withRunningServers({}, needsDatabase, { home }), {
    message: "DATABASE_URL: is missing",
  });
});
