import { deepStrictEqual, ok } from "node:assert";
import { posix, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname ?? ".", "../..");
/** A quoted name may be relative to one of these folders. docs/faults.md quotes its tests without their folder. */
const FROM = ["", "docs/", "tests/", "tests/faults/"];
/** Folders of generated and downloaded files. */
const NOT_IN_REPOSITORY = /^(\..*|dist|node_modules|target)$/;

/** @returns the files and folders below a folder, relative to the root; folders end with a slash */
async function pathsBelow(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(posix.join(ROOT, folder))) {
    if (NOT_IN_REPOSITORY.test(name) && isDirectory) continue;
    if (isDirectory) paths.push(`${folder}${name}/`, ...await pathsBelow(`${folder}${name}/`));
    else paths.push(`${folder}${name}`);
  }
  return paths;
}

const paths = await pathsBelow("");
const DOCUMENT = /^(README|ARCHITECTURE|CONTRIBUTING|SECURITY|CHANGELOG|docs\/.*)\.md$/;
const documents = await Promise.all(
  paths.filter((path) => DOCUMENT.test(path)).map(async (path) => {
    return { path, text: await Deno.readTextFile(posix.join(ROOT, path)) };
  }),
);

function problems(find: (document: { path: string; text: string }) => readonly string[]): string[] {
  return documents.flatMap((document) => find(document).map((problem) => `${document.path} ${problem}`));
}

/** @param path may contain `*`, which stands for any part of a name */
function exists(path: string): boolean {
  const pattern = path.replace(/\/$/, "").replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*");
  const wanted = new RegExp(`^${pattern}/?$`);
  return paths.some((candidate) => wanted.test(candidate));
}

Deno.test("every relative link in the documents leads to an existing file or folder", () => {
  let links = 0;
  const broken = problems(({ path, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target)
      .filter((target) => !/^(https?:|mailto:|#)/.test(target))
      .filter((target) => {
        links++;
        return !exists(posix.join(posix.dirname(path), target.replace(/#.*$/, "")));
      })
      .map((target) => `links to ${target}`)
  );
  deepStrictEqual(broken, []);
  ok(links > 5, `only ${links} links were found`);
});

/** @returns the words between backticks */
function quotedWords(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, span = ""]) => span.split(/\s+/));
}

/** @returns whether a word has the form of a path in this repository; a module needs no folder */
function isPath(word: string): boolean {
  if (!/^[\w.*][\w.*/-]*$/.test(word)) return false;
  if (!word.includes("/")) return /^\w+\.ts$/.test(word);
  const [first = ""] = word.split("/");
  if (NOT_IN_REPOSITORY.test(first)) return false;
  return /\.(ts|sql|md|json|svg|xml|ya?ml)$/.test(word) || paths.includes(`${first}/`);
}

/** @returns quoted folders of the root, even if they do not exist */
function quotedFolders(text: string): string[] {
  return [...text.matchAll(/`(\w[\w-]*)\/`/g)].map(([, name = ""]) => name)
    .filter((name) => !NOT_IN_REPOSITORY.test(name)).map((name) => `${name}/`);
}

Deno.test("every file and folder that the documents quote exists", () => {
  let count = 0;
  const missing = problems(({ text }) =>
    [...quotedWords(text).filter(isPath), ...quotedFolders(text)]
      .filter((word) => {
        count++;
        const found = FROM.some((folder) => exists(folder + word)) ||
          (!word.includes("/") && paths.some((path) => path.endsWith(`/${word}`)));
        return !found;
      })
      .map((word) => `quotes ${word}`)
  );
  deepStrictEqual(missing, []);
  ok(count > 100, `only ${count} names were found`);
});

Deno.test("no empty line splits a table in the documents", () => {
  const cut = /\|\n\n(?=\|.*\|\n(?!\|[-:| ]+\|\n))/g;
  deepStrictEqual(
    problems(({ text }) =>
      [...text.matchAll(cut)].map(({ index }) => `line ${text.slice(0, index).split("\n").length + 1}`)
    ),
    [],
  );
});

Deno.test("the documents contain no placeholder for missing text", () => {
  const unfinished =
    /\b(?:TODO|TBD|FIXME|XXX+|lorem ipsum|coming soon|to be (?:done|written)|placeholders?)\b/gi;
  deepStrictEqual(
    problems(({ text }) => [...text.matchAll(unfinished)].map(([word]) => `says ${word}`)),
    [],
  );
});
