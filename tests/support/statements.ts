import { join } from "node:path";
import type { Place } from "../../lab/place.ts";

export interface Statements {
  /** Settings for the program whose statements are logged. */
  readonly env: { readonly DATABASE_URL: string };
  /** Returns the statements since the last call, in the order of PostgreSQL's log, without those of the rollup. */
  take(): Promise<string[]>;
}

/** @param login the URL of the role whose statements are logged */
export async function logStatements(place: Place, login = place.databaseUrl): Promise<Statements> {
  const url = new URL(login);
  await place.asSuperuser(`grant set on parameter log_statement to ${url.username}`);
  url.searchParams.set("options", "-c log_statement=all");
  const log = join(place.stack.home, "postgres", "postgres.log");
  const rollups = new Set<string>();
  let seen = (await Deno.readTextFile(log)).length;
  return {
    env: { DATABASE_URL: url.href },
    take: async () => {
      const text = await Deno.readTextFile(log);
      const begun = [
        ...text.slice(seen).matchAll(/^.*\[(\d+)\] LOG: {2}(?:statement|execute [^:]+): (.*)$/gm),
      ];
      seen = text.length;
      for (const [, session = "", statement = ""] of begun) {
        if (statement.startsWith("begin; set transaction isolation level repeatable read;")) {
          rollups.add(session);
        }
      }
      return begun.flatMap(([, session = "", statement = ""]) => rollups.has(session) ? [] : [statement]);
    },
  };
}
