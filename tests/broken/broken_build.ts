/** A build that breaks a promise on purpose, and the test that must notice. */
import { join } from "node:path";

export interface BrokenBuild {
  /** What was broken, as a sentence: "the next offset is written in a transaction of its own". */
  readonly breaks: string;
  /** Number in the table of failure modes (docs/faults.md), when it is one of them. */
  readonly mode?: number;
  /** The text (must occur exactly once in its file) that is replaced. Several when one is not enough. */
  readonly edits: readonly Edit[];
  /** The test that must fail on it: file, and its exact name. */
  readonly test: { readonly file: string; readonly name: string };
}

export interface Edit {
  /** From the root of the clone. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** An edit in the consumer. */
export function edit(file: string, find: string, replace: string): Edit {
  return { file: `workers/${file}`, find, replace };
}

/** A test of tests/faults, by the theme that its file is named after. */
export function noticedBy(theme: string, name: string): BrokenBuild["test"] {
  return { file: `tests/faults/${theme}_test.ts`, name };
}

/** @throws when the text does not occur exactly once: then nobody knows any more what the build breaks */
export function applyEdit(text: string, { file, find, replace }: Edit): string {
  const found = text.split(find).length - 1;
  if (found !== 1) {
    throw new Error(`Cannot break ${file}: ${JSON.stringify(find)} occurs ${found} times, expected once`);
  }
  // A function, since a replacement's "$" means something to `replace`.
  return text.replace(find, () => replace);
}

/** Applies all edits below a folder. @returns puts everything back */
export async function applyEdits(root: string, edits: readonly Edit[]): Promise<() => Promise<void>> {
  const originals = new Map<string, string>();
  const restore = async () => {
    for (const [path, text] of originals) await Deno.writeTextFile(path, text);
  };
  for (const edit of edits) {
    const path = join(root, edit.file);
    const text = await Deno.readTextFile(path);
    if (!originals.has(path)) originals.set(path, text);
    await Deno.writeTextFile(path, applyEdit(text, edit));
  }
  return restore;
}
