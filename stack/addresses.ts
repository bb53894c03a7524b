/**
 * Folder `stack`: real Kafka and PostgreSQL on this machine without Docker, for `up`, tests, chaos and benchmarks. No worker
 * imports anything of it.
 *
 * The file that tells the other tasks where the servers are.
 */
import { join } from "node:path";
import { ADDRESSES_FILE, DEFAULT_HOME } from "../workers/_shared/running_servers.ts";

export interface Addresses extends Disposable {
  /** Absolute path of the file. */
  readonly path: string;
  /** How other tasks come to the servers, for people. */
  readonly hint: string;
}

/**
 * Writes the file, which only this user can read, and removes it when disposed.
 *
 * @param home absolute path of the data folder, taken by this process
 * @param values by name; a server of the user's own whose address is a secret is left out
 */
export function writeAddresses(
  home: string,
  task: "up" | "stack",
  values: Readonly<Record<string, string | undefined>>,
): Addresses {
  const path = join(home, ADDRESSES_FILE);
  const lines = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`]
  );
  const text = [
    `# Written by \`deno task ${task}\`, process ${Deno.pid}; removed when it ends.`,
    ...lines,
    "",
  ];
  // A file that is left from a killed run may have been made with another mode.
  removeAddresses(path);
  Deno.writeTextFileSync(path, text.join("\n"), { mode: 0o600, createNew: true });
  return {
    path,
    hint: home === DEFAULT_HOME
      ? `Other tasks of this clone find them; passwords are in ${path}`
      : `Other tasks: deno task --env-file=${quoted(path)} reconcile`,
    [Symbol.dispose]: () => removeAddresses(path),
  };
}

/** The command that ends what runs on a data folder. */
export function stopCommand(home: string): string {
  return `deno task stack --stop${home === DEFAULT_HOME ? "" : ` --home ${quoted(home)}`}`;
}

function removeAddresses(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** For a shell. */
function quoted(path: string): string {
  return /^[\w./:@%+,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
