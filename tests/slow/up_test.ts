import assert from "node:assert/strict";
import { join } from "node:path";
import { startStack } from "../../stack/mod.ts";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { commandLine } from "../../stack/process/process_table.ts";
import { waitFor } from "../../stack/process/wait.ts";
import { assertGone, DEADLINE_MS, processesOf, Program, withHome } from "../support/stack_program.ts";

const PAGE = /^Open (http:\/\/127\.0\.0\.1:(\d+)\/\?token=\S+)$/;
const PASSWORDS = ["HEARTBEAT_WRITER_PASSWORD", "HEARTBEAT_READER_PASSWORD"];

/** @returns the addresses of the monitor page that `up` has printed, the newest last */
function pagesOf({ lines }: Program): { url: string; port: number }[] {
  return lines.map((line) => PAGE.exec(line)).filter((match) => match !== null)
    .map(([, url = "", port]) => ({ url, port: Number(port) }));
}

/** Waits for the so-many-th address. */
async function untilPages(up: Program, count: number): Promise<void> {
  assert.ok(await waitFor(() => Promise.resolve(pagesOf(up).length >= count), DEADLINE_MS), "no new address");
}

async function addressesOf(home: string): Promise<Record<string, string>> {
  const text = await Deno.readTextFile(join(home, "addresses.env"));
  return Object.fromEntries([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
}

/** @returns each program with the roles with which it is logged in */
async function loginsOf(databaseUrl: string): Promise<Record<string, string>> {
  return await withClient(databaseUrl.replace("heartbeat_user", "postgres"), async (client) => {
    const { rows } = await client.query(
      `select application_name as program, string_agg(distinct usename, ' ') as roles
         from pg_stat_activity
        where datname = 'heartbeat_db' and application_name ~ '^heartbeat-'
        group by 1`,
    );
    return Object.fromEntries(rows.map(({ program, roles }) => [program, roles]));
  });
}

/** Occupies the monitor's usual port. It may already be in use on this machine. */
function occupy8787(): Disposable {
  try {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 8787 });
    return { [Symbol.dispose]: () => listener.close() };
  } catch {
    return { [Symbol.dispose]: () => {} };
  }
}

async function assertSecret(passwords: readonly string[], home: string, up: Program): Promise<void> {
  const texts = [up.lines.join("\n"), await Deno.readTextFile(join(home, "postgres", "postgres.log"))];
  for (const pid of (await processesOf(home)).values()) texts.push(await commandLine(pid) ?? "");
  const logs = join(home, "workers");
  assert.equal(((await Deno.stat(logs)).mode ?? 0) & 0o777, 0o700);
  for await (const { name } of Deno.readDir(logs)) {
    assert.equal(((await Deno.stat(join(logs, name))).mode ?? 0) & 0o777, 0o600, name);
    texts.push(await Deno.readTextFile(join(logs, name)));
  }
  for (const password of passwords) {
    assert.match(password, /^[\w-]{32}$/);
    assert.ok(!texts.some((text) => text.includes(password)), "a text has a password");
  }
}

Deno.test("up runs each program with the role that it needs, and shows the page's newest address", async (t) => {
  await withHome(async (home) => {
    using _ = occupy8787();
    const args = ["--home", home, "--customers", "20", "--rate", "50"];
    await using killed = Program.run("stack/up/main.ts", args, { env: { LOG_LEVEL: "error" } });
    await killed.says(/state=ok .*stored=[1-9]/);
    await killed.says(PAGE);
    const before = await addressesOf(home);

    await t.step("the consumer writes as the writer, everything else reads as the reader", async () => {
      assert.deepEqual(await loginsOf(before["DATABASE_URL"] ?? ""), {
        "heartbeat-consumer": "heartbeat_writer",
        "heartbeat-monitor": "heartbeat_reader",
        "heartbeat-up": "heartbeat_reader",
      });
    });

    await t.step("no command line and no log has a password, and only this user reads the logs", async () => {
      await assertSecret(PASSWORDS.map((name) => before[name] ?? ""), home, killed);
    });

    await t.step("the page has another port than 8787, and a used address is replaced", async () => {
      const [first] = pagesOf(killed);
      assert.notEqual(first?.port, 8787);
      const response = await fetch(first?.url ?? "", { redirect: "manual" });
      await response.body?.cancel();
      assert.ok(response.status < 400, `status ${response.status}`);
      await untilPages(killed, 2);
    });

    await t.step(
      "a killed monitor is started again, on the same port, so that open pages find it",
      async () => {
        Deno.kill((await processesOf(home)).get("monitor") ?? 0, "SIGKILL");
        await killed.says(/The monitor ended \(SIGKILL\); starting it again in 1 s/);
        assert.ok(
          await waitFor(() => Promise.resolve(pagesOf(killed).length > 2), DEADLINE_MS),
          "no new address",
        );
        assert.equal(new Set(pagesOf(killed).map(({ port }) => port)).size, 1);
      },
    );

    await t.step("after a kill, the next up ends the monitor and makes new passwords", async () => {
      const orphans = await processesOf(home);
      killed.process.kill("SIGKILL");
      await using up = Program.run("stack/up/main.ts", args);
      await up.says(/state=ok .*stored=[1-9]/);
      await up.says(PAGE);
      await assertGone(orphans);
      const after = await addressesOf(home);
      for (const name of PASSWORDS) assert.notEqual(after[name], before[name], name);
      const old = new URL(after["READER_DATABASE_URL"] ?? "");
      old.password = before["HEARTBEAT_READER_PASSWORD"] ?? "";
      await assert.rejects(withClient(old.href, (client) => client.query("select 1")), { code: "28P01" });
      up.process.kill("SIGINT");
      assert.equal(await up.exitCode(), 0, up.lines.join("\n"));
    });
  });
});

Deno.test("a monitor that cannot start does not stop the pipeline", async () => {
  await withHome(async (home) => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const env = { MONITOR_PORT: String(taken.addr.port) };
    await using up = Program.run("stack/up/main.ts", ["--home", home, "--customers", "20"], { env });
    await up.says(/^error: monitor: Cannot listen .*MONITOR_PORT/);
    await up.says(/state=ok .*stored=[1-9]/);
    assert.equal((await processesOf(home)).has("monitor"), false);
    up.process.kill("SIGTERM");
    assert.equal(await up.exitCode(), 0, up.lines.join("\n"));
  });
});

Deno.test("up creates no role on the user's own PostgreSQL, and shows the page with READER_DATABASE_URL only", async () => {
  await withHome(async (parent) => {
    await using stack = await startStack({ home: join(parent, "own"), services: ["postgres"] });
    const run = (env: Record<string, string>) =>
      Program.run("stack/up/main.ts", ["--home", join(parent, "up")], {
        env: { DATABASE_URL: stack.databaseUrl, HEARTBEAT_READER_PASSWORD: "reader-pass-1", ...env },
      });
    {
      await using up = run({});
      await up.says(/^No monitor page: set READER_DATABASE_URL/);
      await up.says(/state=ok .*stored=[1-9]/);
      assert.equal((await processesOf(join(parent, "up"))).has("monitor"), false);
      up.process.kill("SIGTERM");
      assert.equal(await up.exitCode(), 0, up.lines.join("\n"));
    }
    await withClient(stack.superuserUrl, async (client) => {
      const { rows } = await client.query("select rolname from pg_roles where rolname ~ '^heartbeat_'");
      assert.deepEqual(rows, [{ rolname: "heartbeat_user" }]);
      await client.query("create role my_reader login password 'mine' in role pg_read_all_data");
    });
    const reader = Object.assign(new URL(stack.databaseUrl), { username: "my_reader", password: "mine" });
    await using up = run({ READER_DATABASE_URL: reader.href });
    await up.says(PAGE);
    await up.says(/state=ok /);
    const { "heartbeat-up": display, "heartbeat-monitor": monitor } = await loginsOf(stack.databaseUrl);
    assert.deepEqual([display, monitor], ["my_reader", "my_reader"]);
  });
});
