/** Uses version 2 of Linux's control groups if it has the cpu controller, otherwise version 1. */
import { PipelineError } from "../../workers/_shared/errors.ts";

/** Short, so that a process that used up its quota does not stand still for long. Linux accepts quotas from 1 ms. */
const PERIOD_US = 20_000;

/** A shell does this, because Deno allows writing below /sys only with all permissions. */
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
const RELEASE = 'for id in $(cat "$1/cgroup.procs"); do echo "$id" > "$1/../cgroup.procs"; done; rmdir "$1"';

export class CpuQuota implements AsyncDisposable {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  async hold(pid: number): Promise<void> {
    const { ok, output } = await run(HOLD, [this.folder, String(pid)]);
    if (!ok) {
      throw new PipelineError("stack_failed", `Cannot limit process ${pid} to its CPU quota: ${output}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(RELEASE, [this.folder]);
  }
}

/** @param share of one core, at least 0.05 */
export async function cpuQuota(name: string, share: number, root = "/sys/fs/cgroup"): Promise<CpuQuota> {
  const quota = Math.round(PERIOD_US * share);
  const { ok, output } = await run(MAKE, [root, name, String(quota), String(PERIOD_US)]);
  const folder = output.split("\n").at(-1) ?? "";
  if (ok) return new CpuQuota(folder);
  throw new PipelineError(
    "stack_failed",
    `Cannot limit a process to a share of a core: no cpu controller below ${root} is writable; ` +
      "run as root, in a container with its control groups mounted writable (docker run --privileged)",
  );
}

async function run(script: string, args: readonly string[]): Promise<{ ok: boolean; output: string }> {
  const { success, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", script, "quota", ...args],
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { ok: success, output: success ? text(stdout) : text(stderr) };
}
