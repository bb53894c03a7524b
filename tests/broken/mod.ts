/** All broken builds. Each file beside this one that exports `BROKEN_BUILDS` is an area of its own. */
import type { BrokenBuild } from "./broken_build.ts";

const NO_AREAS = new Set(["broken_build.ts", "main.ts", "mod.ts", "run_program.ts", "trial.ts", "tree.ts"]);

export interface Area {
  /** The file's name without its ending. */
  readonly name: string;
  readonly builds: readonly BrokenBuild[];
}

/** In the order of their names. */
export async function brokenBuilds(): Promise<Area[]> {
  const folder = new URL(".", import.meta.url);
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (name.endsWith(".ts") && !NO_AREAS.has(name)) names.push(name);
  }
  return await Promise.all(
    names.sort().map(async (name) => {
      const { BROKEN_BUILDS: builds } = await import(new URL(name, folder).href) as {
        BROKEN_BUILDS: readonly BrokenBuild[];
      };
      return { name: name.replace(/\.ts$/, ""), builds };
    }),
  );
}
