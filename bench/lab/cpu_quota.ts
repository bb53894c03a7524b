/** Holds processes to a share of one core, by Linux's control groups: version 2 where it has the controller, else 1. */
import { PipelineError } from "../../workers/_shared/errors.ts";

/** Short, so that who used up its share does not stand still for long. The least quota that Linux takes is 1 ms. */
const PERIOD_US = 20_000;

/** Done by other programs: Deno lets nobody write below /sys who has not all permissions. */
const MAKE = `
root=$1 name=$2 quota=$3 period=$4
if grep -qsw cpu "$root/cgroup.controllers"; then
  echo +cpu > "$root/cgroup.subtree_control" && mkdir -p "$root/$name" &&
    echo "$quota $period" > "$root/$name/cpu.max" && echo "$root/$name" && exit
fi
for controller in "$root/cpu" "$root/cpu,cpuacct"; do
  [ -e "$controller/cpu.cfs_quota_us" ] || continue
  mkdir -p "$controller/$name" && echo "$period" > "$controller/$name/cpu.cfs_period_us" &&
    echo "$quota" > "$controller/$name/cpu.cfs_quota_us" && echo "$controller/$name" && exit
done
exit 1`;
const HOLD = 'echo "$2" > "$1/cgroup.procs"';
const LET_GO = 'for id in $(cat "$1/cgroup.procs"); do echo "$id" > "$1/../cgroup.procs"; done; rmdir "$1"';

export class CpuQuota implements AsyncDisposable {
  /** Absolute path of its control group. */
  readonly folder: string;

  /** Made by `cpuQuota`. */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** With all its threads, from now on. */
  async hold(pid: number): Promise<void> {
    const { ok, said } = await run(HOLD, [this.folder, String(pid)]);
    if (!ok) throw new PipelineError("stack_failed", `Cannot hold process ${pid} to its share: ${said}`);
  }

  /** Its processes get what they want again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await run(LET_GO, [this.folder]);
  }
}

/**
 * @param name of the control group: one for each share
 * @param share of one core, at least 0.05
 * @param root where Linux shows its control groups
 */
export async function cpuQuota(name: string, share: number, root = "/sys/fs/cgroup"): Promise<CpuQuota> {
  const quota = Math.round(PERIOD_US * share);
  const { ok, said } = await run(MAKE, [root, name, String(quota), String(PERIOD_US)]);
  const folder = said.split("\n").at(-1) ?? "";
  if (ok) return new CpuQuota(folder);
  throw new PipelineError(
    "stack_failed",
    `Cannot hold a process to a share of a core: no cpu controller below ${root} can be written, expected one; ` +
      "run as root, in a container with its control groups mounted writable (docker run --privileged)",
  );
}

async function run(script: string, args: readonly string[]): Promise<{ ok: boolean; said: string }> {
  const { success, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", script, "quota", ...args],
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { ok: success, said: success ? text(stdout) : text(stderr) };
}
