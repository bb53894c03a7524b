/** One broken build: the edits, its test, and whether the test noticed. */
import { join } from "node:path";
import { breakSources, type BrokenBuild, readSources, testFileOf } from "./broken_build.ts";
import { endLeftoverServers, runProgram, type Tree } from "./tree.ts";

/** A test waits for minutes at most for what never comes. */
const DEADLINE_MS = 900_000;

export type Verdict =
  /** The test failed, and said this. */
  | { readonly kind: "noticed"; readonly error: string }
  /** The test passed: it does not hold what it promises. */
  | { readonly kind: "passed" }
  /** Nothing was learned: the build does not compile, or the test failed of something else than a missed fact. */
  | { readonly kind: "unclear"; readonly error: string };

/** Errors of a program that is wrong, not of a promise that was broken; and of a stack that did not start. */
const UNRELATED_ERROR = /^(TypeError|ReferenceError|SyntaxError|PipelineError|NotCapable|.*\bLeaks detected)/;

/** Breaks the tree, runs the test in it with the repository's own permissions, and mends it. */
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
    // A build that does not compile fails every test and shows nothing. The workers' files are no part of the test's.
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

/** @param output what `deno test` of a single test printed, without colours */
export function verdictOf(output: string): Verdict {
  const [, passed, failed] = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/m.exec(output) ?? [];
  if (passed === "1" && failed === "0") return { kind: "passed" };
  const error = firstError(output);
  const noticed = passed === "0" && failed === "1" && !UNRELATED_ERROR.test(error);
  return { kind: noticed ? "noticed" : "unclear", error };
}

const MAX_ERROR_CHARACTERS = 240;
const DIFFERING_LINES = 6;

/** What the innermost error says first: the outer ones say where to look. */
function firstError(output: string): string {
  const report = output.slice(Math.max(0, output.indexOf("\n ERRORS \n")));
  const wrongType = /^TS\d+ \[ERROR\]: .*$/m.exec(report);
  if (wrongType !== null) return wrongType[0].slice(0, MAX_ERROR_CHARACTERS);
  const errors = [...report.matchAll(/^(?:error|Caused by):? (?:\(in promise\) )?(?!Test failed)(.*)$/gm)];
  const last = errors.at(-1);
  if (last === undefined) return (output.trim().split("\n").at(-1) ?? "").slice(0, MAX_ERROR_CHARACTERS);
  const [line, error = ""] = last;
  // "Expected values to be strictly equal:" says nothing without what comes next.
  const rest = report.slice(last.index + line.length).split("\n").filter((one) => /^ *[+-]? *\S/.test(one));
  const more = error.endsWith(":") ? rest.slice(0, DIFFERING_LINES).map((one) => one.trim()) : [];
  return [error.replace(/^Error: /, ""), ...more].join(" ").slice(0, MAX_ERROR_CHARACTERS);
}
