import { deepStrictEqual, ok } from "node:assert";
import { CLONE } from "../../stack/process/clone.ts";
import { breakSources, type BrokenBuild, readSources, testFileOf } from "../broken/broken_build.ts";
import { BROKEN_DATA } from "../broken/data.ts";
import { BROKEN_PROGRAMS } from "../broken/programs.ts";
import { verdictOf } from "../broken/trial.ts";

const builds = [...BROKEN_DATA, ...BROKEN_PROGRAMS];
const roots = new Set(builds.map(({ root = "workers" }) => root));
const sources = new Map(
  await Promise.all([...roots].map(async (root) => [root, await readSources(CLONE, root)] as const)),
);
const tests = await readSources(CLONE, "tests");

function failures(check: (build: BrokenBuild) => void): string[] {
  return builds.flatMap((build) => {
    try {
      check(build);
      return [];
    } catch (error) {
      return [`"${build.breaks}": ${error instanceof Error ? error.message : error}`];
    }
  });
}

Deno.test("each text that a broken build replaces occurs once, and its replacement differs", () => {
  const wrong = failures((build) => {
    const intact = sources.get(build.root ?? "workers") ?? new Map();
    const broken = breakSources(intact, build);
    const changed = [...broken].filter(([path, text]) => intact.get(path) !== text);
    ok(broken.size > 0 && changed.length === broken.size, "changes nothing");
  });
  deepStrictEqual(wrong, []);
});

Deno.test("every broken build names exactly one test", () => {
  deepStrictEqual(failures((build) => void testFileOf(tests, build)), []);
});

Deno.test("each section of the specification has a broken build, and there are at most 77 different ones", async () => {
  const specification = await Deno.readTextFile(`${CLONE}/docs/pipeline_spec.md`);
  const sections: string[] = [];
  let chapter = "";
  for (const line of specification.split("\n")) {
    chapter = /^## (\w+)\./.exec(line)?.[1] ?? chapter;
    const [, section] = /^(\d+)\. /.exec(line) ?? [];
    if (section !== undefined) sections.push(`${chapter}.${section}`);
  }
  const promises = new Set(
    builds.map(({ promise }) => promise).filter((promise) => !promise.startsWith("docs/")),
  );
  deepStrictEqual([...promises], sections);
  ok(builds.length <= 77, `${builds.length}`);
  deepStrictEqual(new Set(builds.map(({ breaks }) => breaks)).size, builds.length);
});

const REPORT = (error: string, summary: string) =>
  `a promise ... FAILED (3s)\n\n ERRORS \n\na promise => ./x_test.ts:1:1\n${error}\n    at file:///x.ts:1:1\n\n` +
  ` FAILURES \n\na promise => ./x_test.ts:1:1\n\n${summary}\n\nerror: Test failed\n`;

Deno.test("verdictOf() reports the break as noticed if the test failed, and quotes the innermost error", () => {
  const error = "error: Error: kept: topic t\n    at x\nCaused by: AssertionError: lost: no row for 0:1";
  deepStrictEqual(verdictOf(REPORT(error, "FAILED | 0 passed | 1 failed | 5 filtered out (3s)")), {
    kind: "noticed",
    error: "AssertionError: lost: no row for 0:1",
  });
});

Deno.test("verdictOf() does not report the break as noticed if the test is missing or passed, or the program has an error", () => {
  const kinds = [
    "ok | 0 passed | 0 failed | 4 filtered out (1s)\n",
    "ok | 1 passed | 0 failed | 4 filtered out (1s)\n",
    REPORT("error: TypeError: x is not a function", "FAILED | 0 passed | 1 failed (1s)"),
    "TS2322 [ERROR]: Type 'string' is not assignable to type 'number'.\nerror: Type checking failed.\n",
    REPORT("error: (in promise) ReferenceError: x is not defined", "FAILED | 0 passed | 1 failed (1s)"),
    "",
  ].map((output) => verdictOf(output).kind);
  deepStrictEqual(kinds, ["unclear", "passed", "unclear", "unclear", "unclear", "unclear"]);
  ok(builds.length > 0);
});
