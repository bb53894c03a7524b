import { join } from "node:path";
import type { Place } from "../../lab/place.ts";

export interface Statements {
  /** Settings for the consumer whose statements are logged. */
  readonly env: { readonly DATABASE_URL: string };
  /** Returns the statements since the last call, in the order of PostgreSQL's log, without those of the rollup. */
  take(): Promise<string[]>;
}

export async function logStatements(place: Place): Promise<Statements> {
  await place.asSuperuser("grant set on parameter log_statement to heartbeat_user");
  const url = new URL(place.databaseUrl);
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
        if (statement.startsWith("begin; set transaction isolation level repeatable read")) {
          rollups.add(session);
        }
      }
      return begun.flatMap(([, session = "", statement = ""]) => rollups.has(session) ? [] : [statement]);
    },
  };
}
