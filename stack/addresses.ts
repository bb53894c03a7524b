/**
 * Folder `stack`: runs a real Kafka and a real PostgreSQL on this machine without Docker, for `up`, tests, chaos and
 * benchmarks. No worker imports from it.
 *
 * Writes the file that tells other tasks where the servers are.
 */
import { join } from "node:path";
import { ADDRESSES_FILE, DEFAULT_HOME } from "../workers/_shared/running_servers.ts";

export interface Addresses extends Disposable {
  readonly path: string;
  readonly hint: string;
}

/**
 * Writes the file so that only this user can read it. Disposing the result removes the file.
 *
 * @param home absolute path of the data folder, which this process owns
 * @param values by name; undefined values are left out
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
  Deno.writeTextFileSync(path, text.join("\n"), { mode: 0o600, createNew: true });
  return {
    path,
    hint: home === DEFAULT_HOME
      ? `Other tasks of this clone use these servers. Passwords: ${path}`
      : `Other tasks need the option --env-file: deno task --env-file=${quoted(path)} reconcile`,
    [Symbol.dispose]: () => removeAddresses(home),
  };
}

export function stopCommand(home: string): string {
  return `deno task stack --stop${home === DEFAULT_HOME ? "" : ` --home ${quoted(home)}`}`;
}

export function removeAddresses(home: string): void {
  try {
    Deno.removeSync(join(home, ADDRESSES_FILE));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function quoted(path: string): string {
  return /^[\w./:@%+,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
