/** A build that breaks a promise on purpose, and the test that must notice. */
import { join } from "node:path";

export interface BrokenBuild {
  /** The section of docs/pipeline_spec.md that it breaks ("2.3"), or another document. */
  readonly promise: string;
  /** What was broken, as a sentence: "the next offset is written in a transaction of its own". */
  readonly breaks: string;
  /** Each text, which must occur once below `root`, by what takes its place. Several when one is not enough. */
  readonly edits: Readonly<Record<string, string>>;
  /** The folder of the texts. */
  readonly root?: string;
  /** The beginning of the name of the test that must fail on it; below tests/ one name begins like this. */
  readonly test: string;
}

/** Texts of files by their paths, from the root of a clone. */
export type Sources = ReadonlyMap<string, string>;

/** Every TypeScript file below a folder, without the broken builds themselves. */
export async function readSources(clone: string, folder: string): Promise<Sources> {
  const sources = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(join(clone, folder))) {
    const path = `${folder}/${name}`;
    if (path === "tests/broken") continue;
    if (isDirectory) { for (const [file, text] of await readSources(clone, path)) sources.set(file, text); }
    else if (name.endsWith(".ts")) sources.set(path, await Deno.readTextFile(join(clone, path)));
  }
  return sources;
}

/** @throws when the text does not occur exactly once: then nobody knows any more what the build breaks */
export function fileOf(sources: Sources, text: string): string {
  const found = [...sources].flatMap(([path, source]) => new Array(source.split(text).length - 1).fill(path));
  const [path] = found;
  if (found.length === 1) return path;
  throw new Error(`${JSON.stringify(text)} occurs ${found.length} times, expected once: ${found.join(", ")}`);
}

/** The file of the test that must notice. @throws when not exactly one name begins like that */
export function testFileOf(tests: Sources, { test }: BrokenBuild): string {
  return fileOf(tests, `"${test}`);
}

/** The files that a build changes, as they are when it is broken. */
export function breakSources(sources: Sources, { edits }: BrokenBuild): Sources {
  const broken = new Map<string, string>();
  for (const [find, replace] of Object.entries(edits)) {
    const path = fileOf(sources, find);
    // A function, since a replacement's "$" means something to `replace`.
    broken.set(path, (broken.get(path) ?? sources.get(path) ?? "").replace(find, () => replace));
  }
  return broken;
}
