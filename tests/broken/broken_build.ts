import { join } from "node:path";

/** A small change to the code that breaks one promise, and the test that must fail because of it. */
export interface BrokenBuild {
  /** The section of docs/pipeline_spec.md that the build breaks ("2.3"), or the path of another document. */
  readonly promise: string;
  /** What the broken code does wrong, as a sentence. */
  readonly breaks: string;
  /** Replacements by the text that they replace. Each text must occur exactly once below `root`. */
  readonly edits: Readonly<Record<string, string>>;
  /** The folder that is searched for the texts. Default: workers. */
  readonly root?: string;
  /** The beginning of the name of the test that must fail. Exactly one name below tests/ may begin like this. */
  readonly test: string;
}

/** File contents by path, relative to the root of a clone. */
export type Sources = ReadonlyMap<string, string>;

export async function readSources(clone: string, folder: string): Promise<Sources> {
  const sources = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(join(clone, folder))) {
    const path = `${folder}/${name}`;
    // The texts of the edits and the names of the tests would occur twice.
    if (path === "tests/broken") continue;
    if (isDirectory) { for (const [file, text] of await readSources(clone, path)) sources.set(file, text); }
    else if (/\.(ts|sql)$/.test(name)) sources.set(path, await Deno.readTextFile(join(clone, path)));
  }
  return sources;
}

/** @throws Error if the text does not occur exactly once, because the code or the test changed */
export function fileOf(sources: Sources, text: string): string {
  const found = [...sources].flatMap(([path, source]) => new Array(source.split(text).length - 1).fill(path));
  const [path] = found;
  if (found.length === 1) return path;
  throw new Error(`${JSON.stringify(text)} occurs ${found.length} times, expected once: ${found.join(", ")}`);
}

export function testFileOf(tests: Sources, { test }: BrokenBuild): string {
  return fileOf(tests, `"${test}`);
}

export function breakSources(sources: Sources, { edits }: BrokenBuild): Sources {
  const broken = new Map<string, string>();
  for (const [find, replace] of Object.entries(edits)) {
    const path = fileOf(sources, find);
    // As a string, `replace` would interpret a "$" in the replacement.
    broken.set(path, (broken.get(path) ?? sources.get(path) ?? "").replace(find, () => replace));
  }
  return broken;
}
