import assert from "node:assert/strict";
import { join } from "node:path";
import { Admin } from "@platformatic/kafka";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { childrenOf, isRunning, sendSignal } from "../../stack/process/process_table.ts";
import { openLink } from "../../stack/network/link.ts";
import { startStack } from "../../stack/mod.ts";
import { settlesWithin, waitFor } from "../../stack/process/wait.ts";
import { assertGone, DEADLINE_MS, processesOf, Program, withHome } from "../support/stack_program.ts";

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

Deno.test("startStack() keeps rows and topics after the servers were killed, and after a new start", async () => {
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

Deno.test("a client that connects to Kafka through a link gets the address of that link, and other clients do not", async () => {
  await withHome(async (home) => {
    const [first, second] = [await openLink(), await openLink()];
    await using links = new AsyncDisposableStack();
    links.use(first);
    links.use(second);
    const kafkaLinks = [first.port, second.port];
    await using stack = await startStack({ home, services: ["kafka"], kafkaLinks });
    const brokers = (servers: string) =>
      withAdmin(servers, async (admin) => [...(await admin.metadata({ topics: [] })).brokers.values()]);
    const { kafkaLinkPorts, kafkaBootstrapServers: direct } = stack;
    for (const [index, link] of [first, second].entries()) {
      link.target = { host: "127.0.0.1", port: kafkaLinkPorts[index] ?? 0 };
      const through = `127.0.0.1:${link.port}`;
      assert.deepEqual((await brokers(through)).map(({ host, port }) => `${host}:${port}`), [through]);
    }
    assert.deepEqual((await brokers(direct)).map(({ host, port }) => `${host}:${port}`), [direct]);
  });
});

Deno.test("startStack() names a port that is taken, and the variable that sets another one", async () => {
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

Deno.test("the servers of a killed stack end with it", async () => {
  await withHome(async (home) => {
    await using killed = Program.run("stack/main.ts", ["--home", home]);
    await killed.says(/^DATABASE_URL=postgres:\/\/heartbeat_user:/);
    const servers = await processesOf(home);
    killed.process.kill("SIGKILL");
    await assertGone(servers, DEADLINE_MS);
  });
});

Deno.test("the next stack on a folder ends servers that survived a kill", async () => {
  await withHome(async (home) => {
    await using killed = Program.run("stack/main.ts", ["--home", home]);
    await killed.says(/^DATABASE_URL=postgres:\/\/heartbeat_user:/);
    const servers = await processesOf(home);
    const others = (await childrenOf(killed.process.pid)).filter((pid) =>
      ![...servers.values()].includes(pid)
    );
    for (const pid of [...others, killed.process.pid]) sendSignal(pid, "SIGKILL");
    await killed.process.status;
    assert.ok(await isRunning(servers.get("kafka") ?? 0), "Kafka survived its parent");
    assert.ok(await isRunning(servers.get("postgres") ?? 0), "PostgreSQL survived its parent");

    const progress: string[] = [];
    await using stack = await startStack({ home, onProgress: (text) => progress.push(text) });
    await assertGone(servers);
    assert.match(progress.join("\n"), new RegExp(`Ended kafka \\(process ${servers.get("kafka")}\\)`));
    assert.deepEqual(await query(stack.databaseUrl, "select 1 as n"), [{ n: 1 }]);
  });
});

Deno.test("a data folder of any name keeps all data in any locale, and nothing is written beside it", async () => {
  await withHome(async (parent) => {
    const name = `\u00f6\u4e2d, it's 100%d "q" $x #=:!\\`;
    const home = join(parent, name);
    // withHome() does not know this folder, and PostgreSQL has data outside of it.
    await using _ = {
      [Symbol.asyncDispose]: async () => {
        const outside = await Deno.readTextFile(join(home, "postgres.path")).catch(() => undefined);
        if (outside !== undefined) await Deno.remove(outside.trim(), { recursive: true });
      },
    };
    for (const topics of [[], ["kept"]]) {
      await using stack = Program.run("stack/main.ts", ["--home", home], { env: { LC_ALL: "POSIX" } });
      await stack.says(/^DATABASE_URL=/);
      const servers = stack.lines.find((line) => line.startsWith("KAFKA_"))?.replace(/^[^=]*=/, "") ?? "";
      assert.deepEqual(await withAdmin(servers, (admin) => admin.listTopics()), topics);
      if (topics.length === 0) {
        await withAdmin(servers, (admin) => admin.createTopics({ topics: ["kept"], partitions: 1 }));
      }
      stack.process.kill("SIGTERM");
      assert.equal(await stack.exitCode(), 0, stack.lines.join("\n"));
    }
    const names = (path: string) => Array.fromAsync(Deno.readDir(path), (entry) => entry.name);
    assert.deepEqual(await names(parent), [name]);
    assert.ok((await names(join(home, "kafka", "data"))).includes("kept-0"));
  });
});

const OTHER_CONSUMER = `
  insert into public.consumer_status
         (consumer, host, pid, version, group_id, topic, topic_id, started_at, seen_at, partitions, log_end_offsets,
          reasons, limits)
  select 'other', 'elsewhere', 1, version, group_id, topic, topic_id, started_at, now() + interval '1 hour', '{0}',
         '{1000000000}', '{"kafka: is away"}', limits
    from public.consumer_status
   where topic_id is not null
   limit 1`;

Deno.test("up stores readings, restarts a killed consumer, refuses a second up and leaves nothing running", async (t) => {
  await withHome(async (home) => {
    const args = ["--home", home, "--customers", "20", "--rate", "50"];
    // The proxy does not exist, so the test fails if a connection on this machine uses it.
    const env = { HTTP_PROXY: "http://127.0.0.1:1", HTTPS_PROXY: "http://127.0.0.1:1" };
    await using up = Program.run("stack/up/main.ts", args, { env });
    await t.step("readings are stored", () => up.says(/state=ok .*stored=[1-9].* rejected=\d+ .* lag=\d/));
    const before = await processesOf(home);

    await t.step("a second up names the first one and exits with 1", async () => {
      await using second = Program.run("stack/up/main.ts", ["--home", home]);
      assert.equal(await second.exitCode(), 1);
      assert.match(second.lines.join("\n"), new RegExp(`already running .*\\(process ${up.process.pid}\\)`));
    });

    await t.step("up restarts a killed consumer, says so, and the consumer stores readings", async () => {
      Deno.kill(before.get("consumer") ?? 0, "SIGKILL");
      await up.says(/The consumer ended \(SIGKILL\); starting it again in 1 s/);
      await up.says(/The consumer runs again/);
      const from = up.lines.length;
      const stores = () =>
        Promise.resolve(up.lines.slice(from).some((line) => /stored=\d+ \([1-9]/.test(line)));
      assert.ok(await waitFor(stores, DEADLINE_MS), up.lines.slice(from).join("\n"));
    });

    await t.step(
      "up counts the lag of another consumer's partitions and shows why that consumer is not ready",
      async () => {
        const addresses = await Deno.readTextFile(join(home, "addresses.env"));
        const url = /^DATABASE_URL=(.*)$/m.exec(addresses)?.[1] ?? "";
        await query(url, OTHER_CONSUMER);
        await up.says(/state="consumer 1 on elsewhere: kafka: is away" .* lag=99\d{7} /);
      },
    );

    await t.step("an interrupt ends all processes, even if a server has just died", async () => {
      const running = await processesOf(home);
      assert.deepEqual([...running.keys()].filter((name) => !name.includes("child")).sort(), [
        "consumer",
        "kafka",
        "monitor",
        "postgres",
        "producer",
      ]);
      Deno.kill(running.get("kafka") ?? 0, "SIGKILL");
      // A second interrupt, because `deno task` forwards the one that the terminal has already sent.
      up.process.kill("SIGINT");
      up.process.kill("SIGINT");
      assert.equal(await up.exitCode(), 0, up.lines.join("\n"));
      await assertGone(running);
      await assertGone(before);
    });
  });
});

Deno.test("up exits with the error of a consumer that refuses the database", async () => {
  await withHome(async (home) => {
    {
      await using stack = await startStack({ home, services: ["postgres"] });
      await query(
        stack.databaseUrl,
        `create table public.schema_migrations (version integer, name text, checksum text, breaking boolean);
         insert into public.schema_migrations values (1, '0001_create_ledger_and_heartbeats', '', true)`,
      );
    }
    await using up = Program.run("stack/up/main.ts", ["--home", home]);
    assert.equal(await up.exitCode(), 1);
    assert.match(
      up.lines.join("\n"),
      /^Cannot use the database at .*: its schema is older than release 0\.1\.0/m,
    );
  });
});
