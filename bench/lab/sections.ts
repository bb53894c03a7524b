const FOLDER = new URL("../results/", import.meta.url);
const HEADING = "## ";

/** Replaces or adds one section of the file bench/results/`file`, and keeps the other sections. */
export async function replaceSection(file: string, title: string, text: string): Promise<void> {
  const path = new URL(file, FOLDER);
  const old = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  await Deno.writeTextFile(path, withSection(old, title, text));
}

export function withSection(old: string, title: string, text: string): string {
  const sections = new Map(
    old.split(new RegExp(`^${HEADING}`, "m")).slice(1).map((section) => {
      const [first = "", ...rest] = section.split("\n");
      return [first, rest.join("\n").trim()];
    }),
  );
  sections.set(title, text.trim());
  return [...sections].map(([heading, lines]) => `${HEADING}${heading}\n\n${lines}\n`).join("\n");
}
