/** The embedded stack and `up`, on the real thing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Admin } from "@platformatic/kafka";
import { CLONE } from "../../stack/clone.ts";
import { withClient } from "../../stack/postgres_client.ts";
import { childrenOf, isRunning } from "../../stack/process_table.ts";
import { TextLineStream } from "../../stack/lines.ts";
import { openLink } from "../../stack/link.ts";
import { startStack } from "../../stack/mod.ts";
import { settlesWithin, waitFor } from "../../stack/wait.ts";

const PATIENCE_MS = 60_000;

const query = (url: string, sql: string) =>
  withClient(url, async (client) => (await client.query<Record<string, unknown>>(sql)).rows);

async function withAdmin<T>(servers: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Admin({ clientId: "stack-test", bootstrapBrokers: [servers], retries: 3 });
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

/** A program of the stack as people run it, with what it said so far. */
class Program implements AsyncDisposable {
  readonly said: string[] = [];
  readonly process: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;

  constructor(script: string, args: readonly string[]) {
    this.process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "--no-prompt", "-P=stack", join(CLONE, script), ...args],
      cwd: CLONE,
      env: {
        KAFKA_PORT: "0",
        POSTGRES_PORT: "0",
        KAFKA_BOOTSTRAP_SERVERS: "",
        DATABASE_URL: "",
        // The group lets the successor of a killed consumer in only when the session of the killed one is over.
        KAFKA_SESSION_TIMEOUT_MS: "6000",
        NO_COLOR: "1",
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      const lines = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
      for await (const line of lines) this.said.push(line);
    };
    this.#reading = Promise.all([read(this.process.stdout), read(this.process.stderr)]);
  }

  async says(pattern: RegExp): Promise<void> {
    const found = await waitFor(
      () => Promise.resolve(this.said.some((line) => pattern.test(line))),
      PATIENCE_MS,
    );
    assert.ok(found, `expected a line like ${pattern}, it said:\n${this.said.join("\n")}`);
  }

  async exitCode(): Promise<number> {
    const ended = await settlesWithin(this.process.status, PATIENCE_MS);
    assert.ok(ended, `it does not end; it said:\n${this.said.join("\n")}`);
    await this.#reading;
    return (await this.process.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.process.kill("SIGKILL");
    } catch {
      // It has ended, as it should.
    }
    await this.process.status;
    await this.#reading;
  }
}

/** The processes that a data folder names as its own, and PostgreSQL's children. */
async function processesOf(home: string): Promise<Map<string, number>> {
  const pids = new Map<string, number>();
  for await (const { name } of Deno.readDir(join(home, "pids"))) {
    const text = await Deno.readTextFile(join(home, "pids", name));
    pids.set(name.replace(".pid", ""), Number(text.split("\n")[0]));
  }
  for (const child of await childrenOf(pids.get("postgres") ?? 0)) pids.set(`postgres child ${child}`, child);
  return pids;
}

/** Waits until none of them runs, and names those that still do. */
async function assertGone(pids: ReadonlyMap<string, number>): Promise<void> {
  assert.ok(pids.size > 0, "there were processes to look for");
  const left = async () => {
    const found: string[] = [];
    for (const [name, pid] of pids) if (await isRunning(pid)) found.push(`${name} (${pid})`);
    return found;
  };
  await waitFor(async () => (await left()).length === 0, 2_000);
  assert.deepEqual(await left(), []);
}

/** Leaves nothing on the machine, also outside the folder. */
async function withHome(work: (home: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "heartbeat-stack-test-" });
  try {
    await work(home);
  } finally {
    const outside = await Deno.readTextFile(join(home, "postgres.path")).catch(() => undefined);
    if (outside !== undefined) await Deno.remove(outside.trim(), { recursive: true }).catch(() => {});
    await Deno.remove(home, { recursive: true }).catch(() => {});
  }
}

Deno.test("startStack() keeps rows and topics when the servers are killed, and when all is started anew", async () => {
  await withHome(async (home) => {
    {
      await using stack = await startStack({ home });
      await query(stack.databaseUrl, "create table kept (n int)");
      await query(stack.databaseUrl, "insert into kept values (42)");
      await withAdmin(
        stack.kafkaBootstrapServers,
        (admin) => admin.createTopics({ topics: ["kept"], partitions: 3 }),
      );
      await Promise.all([stack.kafka.kill(), stack.postgres.kill()]);
      assert.deepEqual([stack.kafka.running, stack.postgres.running], [false, false]);
      await Promise.all([stack.kafka.start(), stack.postgres.start()]);
      assert.deepEqual(await query(stack.databaseUrl, "select n from kept"), [{ n: 42 }]);
    }
    await using stack = await startStack({ home });
    assert.deepEqual(await query(stack.databaseUrl, "select n from kept"), [{ n: 42 }]);
    assert.deepEqual(await withAdmin(stack.kafkaBootstrapServers, (admin) => admin.listTopics()), ["kept"]);
    const [role] = await query(
      stack.databaseUrl,
      "select rolname, rolsuper from pg_roles where rolname = current_user",
    );
    assert.deepEqual(role, { rolname: "heartbeat_user", rolsuper: false });
    await stack.destroy();
    await assert.rejects(Deno.lstat(home), Deno.errors.NotFound);
    await assert.rejects(Deno.lstat(stack.postgresFolder), Deno.errors.NotFound);
  });
});

Deno.test("a frozen PostgreSQL answers no open session until it is thawed", async () => {
  await withHome(async (home) => {
    await using stack = await startStack({ home, services: ["postgres"] });
    await withClient(stack.databaseUrl, async (client) => {
      await client.query("select 1");
      await stack.postgres.freeze();
      const answer = client.query("select 2 as n");
      assert.equal(await settlesWithin(answer, 300), false);
      await stack.postgres.thaw();
      assert.deepEqual((await answer).rows, [{ n: 2 }]);
    });
  });
});

Deno.test("who comes to Kafka through a link is told to stay behind that one, and nobody else is", async () => {
  await withHome(async (home) => {
    const [one, other] = [await openLink(), await openLink()];
    await using links = new AsyncDisposableStack();
    links.use(one);
    links.use(other);
    const kafkaLinks = [one.port, other.port];
    await using stack = await startStack({ home, services: ["kafka"], kafkaLinks });
    const brokers = (servers: string) =>
      withAdmin(servers, async (admin) => [...(await admin.metadata({ topics: [] })).brokers.values()]);
    const { kafkaLinkPorts, kafkaBootstrapServers: direct } = stack;
    for (const [index, link] of [one, other].entries()) {
      link.target = { host: "127.0.0.1", port: kafkaLinkPorts[index] ?? 0 };
      const through = `127.0.0.1:${link.port}`;
      assert.deepEqual((await brokers(through)).map(({ host, port }) => `${host}:${port}`), [through]);
    }
    assert.deepEqual((await brokers(direct)).map(({ host, port }) => `${host}:${port}`), [direct]);
  });
});

Deno.test("startStack() names the port that is taken and the variable that sets another", async () => {
  await withHome(async (home) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    await assert.rejects(startStack({ home, kafkaPort: port }), (error: Error) => {
      assert.match(
        error.message,
        new RegExp(`Kafka: port ${port} .* taken.* KAFKA_PORT .*KAFKA_BOOTSTRAP_SERVERS`),
      );
      return true;
    });
    await assert.rejects(startStack({ home, postgresPort: port }), (error: Error) => {
      assert.match(
        error.message,
        new RegExp(`PostgreSQL: port ${port} .* taken.* POSTGRES_PORT .*DATABASE_URL`),
      );
      return true;
    });
  });
});

Deno.test("a stack that was killed leaves its servers running, and the next one on the folder ends them", async () => {
  await withHome(async (home) => {
    await using killed = new Program("stack/main.ts", ["--home", home]);
    await killed.says(/^DATABASE_URL=postgres:\/\/heartbeat_user:/);
    killed.process.kill("SIGKILL");
    await killed.process.status;
    const orphans = await processesOf(home);
    assert.ok(await isRunning(orphans.get("kafka") ?? 0), "Kafka survived its parent");
    assert.ok(await isRunning(orphans.get("postgres") ?? 0), "PostgreSQL survived its parent");

    const progress: string[] = [];
    await using stack = await startStack({ home, onProgress: (text) => progress.push(text) });
    await assertGone(orphans);
    assert.match(progress.join("\n"), new RegExp(`Ended kafka, process ${orphans.get("kafka")}`));
    assert.deepEqual(await query(stack.databaseUrl, "select 1 as n"), [{ n: 1 }]);
  });
});

Deno.test("up stores readings, starts a killed consumer again, refuses a second up and leaves nothing behind", async (t) => {
  await withHome(async (home) => {
    await using up = new Program("stack/up/main.ts", ["--home", home, "--customers", "20", "--rate", "50"]);
    await t.step("readings are stored", () => up.says(/stored=[1-9].* rejected=\d+ .* lag=\d/));
    const before = await processesOf(home);

    await t.step("a second up names the first and exits 1", async () => {
      await using second = new Program("stack/up/main.ts", ["--home", home]);
      assert.equal(await second.exitCode(), 1);
      assert.match(second.said.join("\n"), new RegExp(`already running .*\\(process ${up.process.pid}\\)`));
    });

    await t.step("a consumer that is killed is started again, visibly, and stores", async () => {
      Deno.kill(before.get("consumer") ?? 0, "SIGKILL");
      await up.says(/The consumer ended \(SIGKILL\); starting it again in 1 s/);
      await up.says(/The consumer runs again/);
      const from = up.said.length;
      const stores = () =>
        Promise.resolve(up.said.slice(from).some((line) => /stored=\d+ \([1-9]/.test(line)));
      assert.ok(await waitFor(stores, PATIENCE_MS), up.said.slice(from).join("\n"));
    });

    await t.step("an interrupt ends all, also when a server has just died", async () => {
      const running = await processesOf(home);
      assert.deepEqual([...running.keys()].filter((name) => !name.includes("child")).sort(), [
        "consumer",
        "kafka",
        "postgres",
        "producer",
      ]);
      Deno.kill(running.get("kafka") ?? 0, "SIGKILL");
      up.process.kill("SIGINT");
      // As `deno task` does, when the terminal has sent one already.
      up.process.kill("SIGINT");
      assert.equal(await up.exitCode(), 0, up.said.join("\n"));
      await assertGone(running);
      await assertGone(before);
    });
  });
});
