/** What a worker asks of PostgreSQL, seen from the outside: in the server's own log. */
import { join } from "node:path";
import type { Place } from "../../lab/place.ts";

export interface Statements {
  /** The consumer's setting that has its statements logged, and nobody else's. */
  readonly env: { readonly DATABASE_URL: string };
  /** The statements since the last call, in the order in which the server began them; without those of the rollup. */
  take(): Promise<string[]>;
}

/** Begins to listen: with `env` a worker's sessions have each statement logged. */
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
