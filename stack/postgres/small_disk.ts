/**
 * Makes a small disk, on which a server runs out of space. The disk is a tmpfs in a separate mount namespace and needs
 * no root rights. Other processes do not see it, and it disappears with the last process that uses it. Linux only.
 */
import { join } from "node:path";
import { PipelineError } from "../../workers/_shared/errors.ts";
import type { OsUser } from "../process/child.ts";
import { TextLineStream } from "../process/lines.ts";
import { isRoot } from "../process/os_user.ts";

export interface SmallDisk extends AsyncDisposable {
  /** The mount point. Only processes with the command prefix see the disk there. */
  readonly path: string;
  /**
   * The start of a command line. It runs the rest of the line in the same process, where the disk is mounted.
   *
   * @param user runs the rest, if this process is root
   */
  readonly commandPrefix: (user?: OsUser) => string[];
  /**
   * Runs a command where the disk is mounted, and waits for its end.
   * @throws PipelineError with its error output
   */
  readonly run: (command: readonly string[], user?: OsUser) => Promise<string>;
  /** Uses up all free space until `free` is called. */
  readonly fill: () => Promise<void>;
  readonly free: () => Promise<void>;
}

const BALLAST = "ballast";
/** If this process is root, the temporary folder may be closed to the user that PostgreSQL runs as. */
const OPEN_TO_ALL = "/var/tmp";
const MEGABYTE = 1024 * 1024;

/** @param size bytes */
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
      // Only root may enter the namespace, so nsenter changes the user after it has entered.
      const as = user === undefined ? [] : ["--setuid", String(user.uid), "--setgid", String(user.gid)];
      return ["nsenter", ...target, ...as, "--"];
    }
    // In the namespace, the user is root, which PostgreSQL refuses. A second user namespace maps root back to the real
    // user.
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
      // dd is expected to fail when the disk is full. Small blocks then fill the last pages.
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

/** The namespace exists while `cat` runs. `cat` ends with this process, which holds its standard input. */
const HOLD = 'mount -t tmpfs -o "size=$1,mode=0777" heartbeat "$2" && echo mounted && exec cat';

async function mount(path: string, size: number): Promise<{ pid: number; close: () => Promise<void> }> {
  if (Deno.build.os !== "linux") throw cannotMount("only Linux has mount namespaces");
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
  const holderOutput = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  const { value } = await holderOutput.read();
  const stderr = new Response(child.stderr).text();
  const close = async () => {
    await child.stdin.close().catch(() => {});
    await holderOutput.cancel();
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
