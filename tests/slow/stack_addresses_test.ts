import assert from "node:assert/strict";
import { join } from "node:path";
import {
  assertGone,
  DEADLINE_MS,
  processesOf,
  Program,
  PROGRAM_ENV,
  withHome,
} from "../support/stack_program.ts";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { sendSignal } from "../../stack/process/process_table.ts";
import { copyTree } from "../broken/tree.ts";

const deno = Deno.execPath();
const signal = new AbortController().signal;

async function task(clone: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(deno, {
    args: ["task", "-q", ...args],
    cwd: clone,
    env: { ...PROGRAM_ENV, ...env },
    stdin: "null",
    signal: AbortSignal.timeout(2 * DEADLINE_MS),
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

const ADDRESSES = new RegExp(
  String.raw`^KAFKA_BOOTSTRAP_SERVERS=127\.0\.0\.1:\d+\nDATABASE_URL=postgres://heartbeat_user:\S+\n` +
    String.raw`HEARTBEAT_WRITER_PASSWORD=[\w-]{32}\nHEARTBEAT_READER_PASSWORD=([\w-]{32})\n` +
    String.raw`READER_DATABASE_URL=postgres://heartbeat_reader:\1@\S+\n$`,
);

/** Runs a task of which `out` is the expected output, while the database's owner may not log in. */
async function succeedsAsReader(clone: string, file: string, args: readonly string[], out: RegExp) {
  const [, url = ""] = /^DATABASE_URL=(.*)$/m.exec(await Deno.readTextFile(file)) ?? [];
  // The superuser has the owner's password.
  const limitOwner = (connections: number) =>
    withClient(
      url.replace("heartbeat_user", "postgres"),
      (client) => client.query(`alter role heartbeat_user connection limit ${connections}`),
    );
  await limitOwner(0);
  const { code, stdout, stderr } = await task(clone, args);
  await limitOwner(-1);
  assert.equal(code, 0, stderr);
  assert.ok(stderr.includes(file), stderr);
  assert.match(stdout, out);
}

/** A killed run can leave its file. Neither that nor the user's own passwords may become those of the roles. */
async function upAfterKill(clone: string, file: string, stale: string): Promise<Program> {
  await Deno.writeTextFile(file, stale);
  const [, POSTGRES_PORT = ""] = /@127\.0\.0\.1:(\d+)/.exec(stale) ?? [];
  const own = join(clone, "own.password");
  await Deno.writeTextFile(own, "my-own-password");
  const env = { POSTGRES_PORT, HEARTBEAT_READER_PASSWORD_FILE: own };
  return Program.run("stack/up/main.ts", ["--no-producer"], { clone, env });
}

Deno.test("tasks use the servers of `up` or of a detached stack in the same clone while they run", async (t) => {
  await using tree = await copyTree({ JAVA_HOME: Deno.env.get("JAVA_HOME") }, {
    signal,
    onProgress: () => {},
  });
  const home = join(tree.root, ".stack", "data");
  const file = join(home, "addresses.env");
  let stale = "";
  await using _ = { [Symbol.asyncDispose]: async () => void await task(tree.root, ["stack", "--stop"]) };

  await t.step("stack --detach prints the addresses and stores them for this user only", async () => {
    const { code, stdout, stderr } = await task(tree.root, ["stack", "--detach"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, ADDRESSES);
    assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
    assert.ok((await Deno.readTextFile(file)).endsWith(stdout));
  });

  await t.step("produce and consume use the file with the addresses and say so", async () => {
    const { code, stderr } = await task(tree.root, ["reconcile", "--no-kafka"]);
    assert.equal(code, 1);
    assert.match(stderr, /relation .* does not exist .*run the migrations \(--migrate-only\)/);
    for (const args of [["produce", "--count", "3"], ["consume", "--until-caught-up"]]) {
      const { code, stderr } = await task(tree.root, args);
      assert.equal(code, 0, stderr);
      assert.ok(stderr.includes(file), stderr);
    }
  });

  await t.step("reconcile uses the reader, to whom consume has given its rights", async () => {
    await succeedsAsReader(tree.root, file, ["reconcile"], /ACCOUNTED FOR: 3 offsets = 3 stored/);
  });

  await t.step("a setting takes precedence over the whole file with the addresses", async () => {
    const { code, stderr } = await task(tree.root, ["reconcile"], { KAFKA_BOOTSTRAP_SERVERS: "127.0.0.1:1" });
    assert.equal(code, 2);
    assert.match(stderr, /DATABASE_URL: is missing.*\n.*KAFKA_BOOTSTRAP_SERVERS is set/);
  });

  await t.step("stack --stop ends the servers and deletes the file", async () => {
    stale = await Deno.readTextFile(file);
    const servers = await processesOf(home);
    assert.equal((await task(tree.root, ["stack", "--stop"])).code, 0);
    await assertGone(servers);
    await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
    assert.equal((await task(tree.root, ["reconcile"])).code, 2);
  });

  await t.step("up stores its addresses in the same file, and shows no password", async () => {
    await using up = await upAfterKill(tree.root, file, stale);
    await up.says(/state=ok/);
    const [, password = ""] = /heartbeat_user:([^@]+)@/.exec(await Deno.readTextFile(file)) ?? [];
    assert.ok(password !== "" && !up.lines.join("\n").includes(password));
    await succeedsAsReader(tree.root, file, ["scenarios", "--only", "duplicate"], /^/);
    up.process.kill("SIGTERM");
    assert.equal(await up.exitCode(), 0, up.lines.join("\n"));
    await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
  });
});

Deno.test("a stack and its servers end when the npx that started the stack is ended", async () => {
  await withHome(async (home) => {
    // This process has the name of npx and, like npx, dies of SIGTERM without passing it on.
    const launch = `exec -a "npm exec deno@2 task stack" bash -c '"$@"; true' npx "$@"`;
    const args = ["-c", launch, "launch", deno, "task", "-q", "stack", "--home", home];
    await using npx = new Program("bash", args);
    await npx.says(/^DATABASE_URL=/);
    const running = await processesOf(home);
    running.set("stack", Number(await Deno.readTextFile(join(home, "owner.pid"))));
    try {
      npx.process.kill("SIGTERM");
      await assertGone(running, DEADLINE_MS);
    } finally {
      for (const pid of running.values()) sendSignal(pid, "SIGKILL");
    }
  });
});
