/**
 * A small disk for servers that shall run out of space: a tmpfs of a given size in a mount namespace of its own. It needs
 * no root rights, nothing else on the machine sees it, and it is gone with the last process that uses it, however that
 * ends. Linux only.
 */
import { join } from "node:path";
import { PipelineError } from "../../workers/_shared/errors.ts";
import type { OsUser } from "../process/child.ts";
import { TextLineStream } from "../process/lines.ts";
import { isRoot } from "../process/os_user.ts";

export interface SmallDisk extends AsyncDisposable {
  /** Where it is mounted, for those who run within. */
  readonly path: string;
  /**
   * The beginning of a command line that runs the rest of it where the disk is mounted, in the same process.
   *
   * @param user whom the rest runs as, when we are root
   */
  readonly commandPrefix: (user?: OsUser) => string[];
  /** Runs a command there until it ends. @throws with what it said when it fails */
  readonly run: (command: readonly string[], user?: OsUser) => Promise<string>;
  /** Takes all space that is left. */
  readonly fill: () => Promise<void>;
  /** Gives back what `fill` took. */
  readonly free: () => Promise<void>;
}

const BALLAST = "ballast";
/** The user that PostgreSQL runs as when we are root must be able to come here, wherever our temporary folder is. */
const OPEN_TO_ALL = "/var/tmp";
const MEGABYTE = 1024 * 1024;

/**
 * @param size bytes
 * @throws PipelineError when this machine lets nobody mount anything, with what to do
 */
export async function mountSmallDisk(size: number): Promise<SmallDisk> {
  const path = await Deno.makeTempDir({
    prefix: "heartbeat-disk-",
    ...(isRoot() ? { dir: OPEN_TO_ALL } : {}),
  });
  const holder = await mount(path, size).catch(async (error) => {
    await Deno.remove(path);
    throw error;
  });
  const commandPrefix = (user?: OsUser) => {
    const target = ["--mount", "--target", String(holder.pid)];
    if (isRoot()) {
      // Only root may enter, so who it runs as is decided behind the door.
      const as = user === undefined ? [] : ["--setuid", String(user.uid), "--setgid", String(user.gid)];
      return ["nsenter", ...target, ...as, "--"];
    }
    // Whoever enters is root there, which PostgreSQL refuses to be; a second namespace maps back to who we are.
    const back = [`--map-user=${Deno.uid()}`, `--map-group=${Deno.gid()}`];
    return [
      "nsenter",
      "--user",
      "--preserve-credentials",
      ...target,
      "--",
      "unshare",
      "--user",
      ...back,
      "--",
    ];
  };
  const run = async (command: readonly string[], user?: OsUser) => {
    const [program = "", ...args] = [...commandPrefix(user), ...command];
    const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    if (success) return text(stdout);
    throw new PipelineError("stack_failed", `Cannot run ${command.join(" ")} in ${path}: ${text(stderr)}`);
  };
  const ballast = join(path, BALLAST);
  return {
    path,
    commandPrefix,
    run,
    fill: async () => {
      // In large pieces while there are any, then the last page. That dd fails is the point.
      const write = (size: number) => `dd if=/dev/zero bs=${size} oflag=append conv=notrunc of=${ballast}`;
      await run(["sh", "-c", `${write(MEGABYTE)} 2>/dev/null; ${write(4096)} 2>/dev/null; true`]);
    },
    free: async () => void await run(["rm", "-f", ballast]),
    [Symbol.asyncDispose]: async () => {
      await holder.close();
      await Deno.remove(path);
    },
  };
}

/** Keeps the namespace until its standard input ends: when this process dies, it dies too, and takes the disk along. */
const HOLD = 'mount -t tmpfs -o "size=$1,mode=0777" heartbeat "$2" && echo mounted && exec cat';

async function mount(path: string, size: number): Promise<{ pid: number; close: () => Promise<void> }> {
  if (Deno.build.os !== "linux") throw cannotMount("this is no Linux, expected its mount namespaces");
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("unshare", {
      args: [
        ...(isRoot() ? [] : ["--user", "--map-root-user"]),
        "--mount",
        "sh",
        "-c",
        HOLD,
        "hold",
        String(size),
        path,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    throw cannotMount(
      `unshare is missing (${error instanceof Error ? error.message : error}); install util-linux`,
    );
  }
  const said = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  const { value } = await said.read();
  const stderr = new Response(child.stderr).text();
  const close = async () => {
    await child.stdin.close().catch(() => {});
    await said.cancel();
    await stderr;
    await child.status;
  };
  if (value === "mounted") return { pid: child.pid, close };
  await close();
  throw cannotMount(
    `${
      (await stderr).trim().replaceAll("\n", "; ")
    }; run this as root, or where user namespaces are allowed ` +
      "(in a container, with --privileged)",
  );
}

function cannotMount(why: string): PipelineError {
  return new PipelineError("stack_failed", `Cannot mount a small disk: ${why}`);
}
