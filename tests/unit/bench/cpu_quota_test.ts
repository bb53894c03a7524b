import { deepStrictEqual, rejects, strictEqual } from "node:assert";
import { dirname, join } from "node:path";
import { cpuQuota } from "../../../bench/lab/cpu_quota.ts";

/** Runs a test with files that imitate the control groups of Linux. */
async function inTree(files: Record<string, string>, test: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(dirname(join(root, path)), { recursive: true });
      await Deno.writeTextFile(join(root, path), text);
    }
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function read(root: string, ...paths: string[]): string[] {
  return paths.map((path) => Deno.readTextFileSync(join(root, path)).trim());
}

Deno.test("cpuQuota() limits the CPU time in each 20 ms with version 2 of control groups", () =>
  inTree({ "cgroup.controllers": "cpuset cpu memory", "cgroup.subtree_control": "" }, async (root) => {
    const quota = await cpuQuota("one", 0.1, root);
    await quota.hold(4711);
    strictEqual(quota.folder, join(root, "one"));
    deepStrictEqual(read(root, "cgroup.subtree_control", "one/cpu.max", "one/cgroup.procs"), [
      "+cpu",
      "2000 20000",
      "4711",
    ]);
  }));

Deno.test("cpuQuota() uses version 1 of control groups if version 2 has no cpu controller", () =>
  inTree({
    "cgroup.controllers": "hugetlb cpuset",
    "cpu,cpuacct/cpu.cfs_quota_us": "-1",
  }, async (root) => {
    const quota = await cpuQuota("one", 0.15, root);
    await quota.hold(4711);
    const group = "cpu,cpuacct/one";
    deepStrictEqual(
      read(root, `${group}/cpu.cfs_period_us`, `${group}/cpu.cfs_quota_us`, `${group}/cgroup.procs`),
      ["20000", "3000", "4711"],
    );
  }));

Deno.test("cpuQuota() tells the user to run as root if it can write no cpu controller", () =>
  inTree({ "cgroup.controllers": "memory" }, async (root) => {
    await rejects(cpuQuota("one", 0.1, root), /no cpu controller below .* run as root/);
  }));
