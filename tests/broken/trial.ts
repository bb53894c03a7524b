import { join } from "node:path";
import { breakSources, type BrokenBuild, readSources, testFileOf } from "./broken_build.ts";
import { endLeftoverServers, runProgram, type Tree } from "./tree.ts";

// A test waits for a missing event until its own deadline, which can take minutes.
const DEADLINE_MS = 900_000;

export type Verdict =
  /** The test failed with this error. */
  | { readonly kind: "noticed"; readonly error: string }
  /** The test passed, so it does not protect the promise. */
  | { readonly kind: "passed" }
  /** The build does not compile, or the test failed for another reason than a failed assertion. */
  | { readonly kind: "unclear"; readonly error: string };

/** Errors of a program that is wrong or of servers that did not start. They do not show a broken promise. */
const UNRELATED_ERROR = /^(TypeError|ReferenceError|SyntaxError|PipelineError|NotCapable|.*\bLeaks detected)/;

/** Applies the edits to the tree, runs the test there with its own permissions, and restores the files. */
export async function tryBuild(tree: Tree, build: BrokenBuild, signal: AbortSignal): Promise<Verdict> {
  const sources = await readSources(tree.root, build.root ?? "workers");
  const broken = breakSources(sources, build);
  const context = {
    cwd: tree.root,
    env: { NO_COLOR: "1", TMPDIR: tree.temporary },
    signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
  };
  try {
    for (const [path, text] of broken) await Deno.writeTextFile(join(tree.root, path), text);
    // Every test fails on a build that does not compile. `deno test` runs unchecked and would not tell.
    const checked = await runProgram(Deno.execPath(), ["check", "-q", ...broken.keys()], context);
    signal.throwIfAborted();
    if (checked.code !== 0) return { kind: "unclear", error: firstError(checked.output) };
    const filter = `/^${build.test.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}/`;
    const file = testFileOf(await readSources(tree.root, "tests"), build);
    const args = ["test", "-q", "-P", "--no-check", "--filter", filter, file];
    const { output } = await runProgram(Deno.execPath(), args, context);
    signal.throwIfAborted();
    return verdictOf(output);
  } finally {
    for (const path of broken.keys()) {
      await Deno.writeTextFile(join(tree.root, path), sources.get(path) ?? "");
    }
    await endLeftoverServers(tree.temporary);
  }
}

/** @param output standard output and error of `deno test` with a single test, without colours */
export function verdictOf(output: string): Verdict {
  const [, passed, failed] = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/m.exec(output) ?? [];
  if (passed === "1" && failed === "0") return { kind: "passed" };
  const error = firstError(output);
  const noticed = passed === "0" && failed === "1" && !UNRELATED_ERROR.test(error);
  return { kind: noticed ? "noticed" : "unclear", error };
}

const MAX_ERROR_CHARACTERS = 240;
const DIFFERING_LINES = 6;

// The innermost error says what is wrong. The outer ones only say where to look.
function firstError(output: string): string {
  const report = output.slice(Math.max(0, output.indexOf("\n ERRORS \n")));
  const wrongType = /^TS\d+ \[ERROR\]: .*$/m.exec(report);
  if (wrongType !== null) return wrongType[0].slice(0, MAX_ERROR_CHARACTERS);
  const errors = [...report.matchAll(/^(?:error|Caused by):? (?:\(in promise\) )?(?!Test failed)(.*)$/gm)];
  const last = errors.at(-1);
  if (last === undefined) return (output.trim().split("\n").at(-1) ?? "").slice(0, MAX_ERROR_CHARACTERS);
  const [line, error = ""] = last;
  const rest = report.slice(last.index + line.length).split("\n").filter((one) => /^ *[+-]? *\S/.test(one));
  // A message that ends with a colon, such as "Expected values to be strictly equal:", needs the lines after it.
  const more = error.endsWith(":") ? rest.slice(0, DIFFERING_LINES).map((one) => one.trim()) : [];
  return [error.replace(/^Error: /, ""), ...more].join(" ").slice(0, MAX_ERROR_CHARACTERS);
}
