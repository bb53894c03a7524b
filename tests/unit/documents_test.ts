/** What the documents name is there, and nothing in them waits to be written. */
import { deepStrictEqual, ok } from "node:assert";
import { posix, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname ?? ".", "../..");
/** Where a name may begin: at the root, beside the document, or where docs/faults.md says that its tests are. */
const FROM = ["", "docs/", "tests/", "tests/faults/"];
/** What is made by a command is not in the repository, and neither are downloads. */
const NOT_OURS = /^(\..*|dist|node_modules|target)$/;

/** Files and, with a slash at their end, folders; from the root. */
async function pathsBelow(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(posix.join(ROOT, folder))) {
    if (NOT_OURS.test(name) && isDirectory) continue;
    if (isDirectory) paths.push(`${folder}${name}/`, ...await pathsBelow(`${folder}${name}/`));
    else paths.push(`${folder}${name}`);
  }
  return paths;
}

const paths = await pathsBelow("");
const documents = await Promise.all(
  paths.filter((path) => path === "README.md" || /^docs\/.*\.md$/.test(path)).map(async (path) => {
    return { path, text: await Deno.readTextFile(posix.join(ROOT, path)) };
  }),
);

/** Sentences about each document, none when all is well. */
function complaints(about: (document: { path: string; text: string }) => readonly string[]): string[] {
  return documents.flatMap((document) => about(document).map((what) => `${document.path} ${what}`));
}

/** @param path may hold a `*` for any part of a name */
function exists(path: string): boolean {
  const pattern = path.replace(/\/$/, "").replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*");
  const wanted = new RegExp(`^${pattern}/?$`);
  return paths.some((one) => wanted.test(one));
}

Deno.test("every relative link in the documents leads to a file or a folder", () => {
  let links = 0;
  const broken = complaints(({ path, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target)
      .filter((target) => !/^(https?:|mailto:|#)/.test(target))
      .filter((target) => {
        links++;
        return !exists(posix.join(posix.dirname(path), target.replace(/#.*$/, "")));
      })
      .map((target) => `links to ${target}`)
  );
  deepStrictEqual(broken, []);
  ok(links > 5, `${links} links were found`);
});

/** The words within backticks. */
function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, span = ""]) => span.split(/\s+/));
}

/** Whether a word is meant to name something of this repository. */
function isPath(word: string): boolean {
  if (!/^[\w.*][\w.*/-]*$/.test(word)) return false;
  // A module of ours may go by its name alone.
  if (!word.includes("/")) return /^\w+\.ts$/.test(word);
  return /\.(ts|sql|md|json|svg|xml|ya?ml)$/.test(word) || paths.includes(`${word.split("/")[0]}/`);
}

/** Folders at the root that are quoted alone, also those that are there no more. */
function folders(text: string): string[] {
  return [...text.matchAll(/`(\w[\w-]*)\/`/g)].map(([, name = ""]) => name)
    .filter((name) => !NOT_OURS.test(name)).map((name) => `${name}/`);
}

Deno.test("every file and folder of this repository that the documents quote is there", () => {
  let found = 0;
  const missing = complaints(({ text }) =>
    [...quoted(text).filter(isPath), ...folders(text)]
      .filter((word) => {
        found++;
        const isThere = FROM.some((folder) => exists(folder + word)) ||
          (!word.includes("/") && paths.some((path) => path.endsWith(`/${word}`)));
        return !isThere;
      })
      .map((word) => `quotes ${word}`)
  );
  deepStrictEqual(missing, []);
  ok(found > 100, `${found} names were found`);
});

Deno.test("no table in the documents is cut in two by an empty line", () => {
  const cut = /\|\n\n(?=\|.*\|\n(?!\|[-:| ]+\|\n))/g;
  deepStrictEqual(
    complaints(({ text }) =>
      [...text.matchAll(cut)].map(({ index }) => `line ${text.slice(0, index).split("\n").length + 1}`)
    ),
    [],
  );
});

Deno.test("nothing in the documents waits to be written", () => {
  const unfinished =
    /\b(?:TODO|TBD|FIXME|XXX+|lorem ipsum|coming soon|to be (?:done|written)|placeholders?)\b/gi;
  deepStrictEqual(
    complaints(({ text }) => [...text.matchAll(unfinished)].map(([word]) => `says ${word}`)),
    [],
  );
});
