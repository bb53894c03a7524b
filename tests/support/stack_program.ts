import assert from "node:assert/strict";
import { join } from "node:path";
import { CLONE } from "../../stack/process/clone.ts";
import { TextLineStream } from "../../stack/process/lines.ts";
import { childrenOf, isRunning } from "../../stack/process/process_table.ts";
import { settlesWithin, waitFor } from "../../stack/process/wait.ts";

export const DEADLINE_MS = 60_000;

/** Variables that set free ports and clear the addresses of other servers. */
export const PROGRAM_ENV = {
  KAFKA_PORT: "0",
  POSTGRES_PORT: "0",
  KAFKA_BOOTSTRAP_SERVERS: "",
  DATABASE_URL: "",
  READER_DATABASE_URL: "",
  // After a kill, the group gives the partitions to the next consumer only after this timeout.
  KAFKA_SESSION_TIMEOUT_MS: "6000",
  NO_COLOR: "1",
};

export class Program implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly process: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;

  constructor(
    command: string,
    args: readonly string[],
    options: Pick<Deno.CommandOptions, "cwd" | "env"> = {},
  ) {
    this.process = new Deno.Command(command, {
      args: [...args],
      cwd: options.cwd ?? CLONE,
      env: { ...PROGRAM_ENV, ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      const lines = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
      for await (const line of lines) this.lines.push(line);
    };
    this.#reading = Promise.all([read(this.process.stdout), read(this.process.stderr)]);
  }

  /** @param script `stack/main.ts` or `stack/up/main.ts` */
  static run(
    script: string,
    args: readonly string[],
    { clone = CLONE, env = {} }: { clone?: string; env?: Readonly<Record<string, string>> } = {},
  ): Program {
    const run = ["run", "-q", "--no-prompt", "-P=stack", join(clone, script), ...args];
    return new Program(Deno.execPath(), run, { cwd: clone, env });
  }

  async says(pattern: RegExp): Promise<void> {
    const found = await waitFor(
      () => Promise.resolve(this.lines.some((line) => pattern.test(line))),
      DEADLINE_MS,
    );
    assert.ok(found, `expected a line like ${pattern}, but the output is:\n${this.lines.join("\n")}`);
  }

  async exitCode(): Promise<number> {
    const ended = await settlesWithin(this.process.status, DEADLINE_MS);
    assert.ok(ended, `the program does not end, and its output is:\n${this.lines.join("\n")}`);
    await this.#reading;
    return (await this.process.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.process.kill("SIGKILL");
    } catch {
      // The process has ended.
    }
    await this.process.status;
    await this.#reading;
  }
}

/** @returns the processes in the pid files of a data folder, and the children of PostgreSQL */
export async function processesOf(home: string): Promise<Map<string, number>> {
  const pids = new Map<string, number>();
  for await (const { name } of Deno.readDir(join(home, "pids"))) {
    const text = await Deno.readTextFile(join(home, "pids", name));
    pids.set(name.replace(".pid", ""), Number(text.split("\n")[0]));
  }
  for (const child of await childrenOf(pids.get("postgres") ?? 0)) pids.set(`postgres child ${child}`, child);
  return pids;
}

export async function assertGone(pids: ReadonlyMap<string, number>, withinMs = 2_000): Promise<void> {
  assert.ok(pids.size > 0, "the folder names no process");
  const left = async () => {
    const found: string[] = [];
    for (const [name, pid] of pids) if (await isRunning(pid)) found.push(`${name} (${pid})`);
    return found;
  };
  await waitFor(async () => (await left()).length === 0, withinMs);
  assert.deepEqual(await left(), []);
}

/** Afterwards, deletes the data folder and the files that PostgreSQL has outside of it. */
export async function withHome(work: (home: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "heartbeat-stack-test-" });
  try {
    await work(home);
  } finally {
    const outside = await Deno.readTextFile(join(home, "postgres.path")).catch(() => undefined);
    if (outside !== undefined) await Deno.remove(outside.trim(), { recursive: true }).catch(() => {});
    await Deno.remove(home, { recursive: true }).catch(() => {});
  }
}
