/** The broken builds stay true: what they replace is there, and so is the test that must notice. */
import { deepStrictEqual, ok } from "node:assert";
import { applyEdit } from "../broken/broken_build.ts";
import { brokenBuilds } from "../broken/mod.ts";
import { verdictOf } from "../broken/trial.ts";

const builds = (await brokenBuilds()).flatMap(({ name, builds }) => {
  return builds.map((build) => ({ area: name, ...build }));
});

async function read(file: string): Promise<string> {
  return await Deno.readTextFile(new URL(`../../${file}`, import.meta.url));
}

Deno.test("every text that a broken build replaces occurs exactly once, and is replaced by another", async () => {
  const wrong: string[] = [];
  for (const { area, breaks, edits } of builds) {
    if (edits.length === 0) wrong.push(`${area}: "${breaks}" breaks nothing`);
    const texts = new Map<string, string>();
    for (const edit of edits) {
      try {
        const before = texts.get(edit.file) ?? await read(edit.file);
        const after = applyEdit(before, edit);
        texts.set(edit.file, after);
        if (after === before) wrong.push(`${area}: "${breaks}" changes nothing in ${edit.file}`);
      } catch (error) {
        wrong.push(`${area}: "${breaks}": ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  deepStrictEqual(wrong, []);
});

/** What names the templates of a file can make. */
function templatesOf(text: string): RegExp[] {
  return [...text.matchAll(/`([^`\n]*)`/g)].map(([, template = ""]) => {
    const parts = template.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".+")}$`);
  });
}

Deno.test("every test that must notice a broken build exists under its name", async () => {
  const wrong: string[] = [];
  for (const { area, breaks, test } of builds) {
    const text = await read(test.file).catch(() => "");
    if (!text.includes(`"${test.name}"`) && !templatesOf(text).some((template) => template.test(test.name))) {
      wrong.push(`${area}: "${breaks}" names ${test.file}: ${test.name}`);
    }
  }
  deepStrictEqual(wrong, []);
});

Deno.test("no two broken builds say the same", () => {
  const sentences = builds.map(({ breaks }) => breaks);
  deepStrictEqual(sentences.filter((one, index) => sentences.indexOf(one) !== index), []);
});

const REPORT = (error: string, summary: string) =>
  `a promise ... FAILED (3s)\n\n ERRORS \n\na promise => ./x_test.ts:1:1\n${error}\n    at file:///x.ts:1:1\n\n` +
  ` FAILURES \n\na promise => ./x_test.ts:1:1\n\n${summary}\n\nerror: Test failed\n`;

Deno.test("a failed test noticed the broken build, in the words of its innermost error", () => {
  const error = "error: Error: kept: topic t\n    at x\nCaused by: AssertionError: lost: no row for 0:1";
  deepStrictEqual(verdictOf(REPORT(error, "FAILED | 0 passed | 1 failed | 5 filtered out (3s)")), {
    kind: "noticed",
    said: "AssertionError: lost: no row for 0:1",
  });
});

Deno.test("no test found, a passed test, and an error of the program are no notice", () => {
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
