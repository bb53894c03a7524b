/** One file of several sections: each is replaced when its part ran, and the others stay. */
const FOLDER = new URL("../results/", import.meta.url);
const HEADING = "## ";

/** @param file below bench/results @param text the section's lines */
export async function keepSection(file: string, title: string, text: string): Promise<void> {
  const path = new URL(file, FOLDER);
  const old = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  await Deno.writeTextFile(path, withSection(old, title, text));
}

/** @returns the old text with this section in the place of the one of the same title, or at the end */
export function withSection(old: string, title: string, text: string): string {
  const sections = new Map(
    old.split(new RegExp(`^${HEADING}`, "m")).slice(1).map((section) => {
      const [first = "", ...rest] = section.split("\n");
      return [first, rest.join("\n").trim()];
    }),
  );
  sections.set(title, text.trim());
  return [...sections].map(([one, lines]) => `${HEADING}${one}\n\n${lines}\n`).join("\n");
}
