import { join } from "node:path";
import type { Child } from "../../stack/process/child.ts";
import { digest, installOnce } from "../../stack/process/clone.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { cacheFolder, placeVariables, run, startBuilt } from "./cache.ts";
import type { Peer, PeerRun, PrepareOptions, Setting } from "./peer.ts";
import { ensureReferenceTable } from "./reference_table.ts";

const SOURCES = join(import.meta.dirname ?? ".", "python");
export const PYTHON_CONSUMER = join(SOURCES, "consumer.py");
export const PYTHON_REQUIREMENTS = join(SOURCES, "requirements.txt");
/** From this version on, datetime.fromisoformat() reads every timestamp of this project's producer. */
const OLDEST_MINOR = 11;

const BATCHES: Record<Setting, { readonly lingerMs: number; readonly records: number }> = {
  throughput: { lingerMs: 100, records: 20_000 },
  latency: { lingerMs: 0, records: 20_000 },
};
/** Number of threads. Each has its own consumer and connection. */
const WRITERS = 2;

export const python: Peer = { title: "Python, confluent-kafka and psycopg", prepare, start };

export function pythonVariables(options: PeerRun): Record<string, string> {
  const { lingerMs, records } = BATCHES[options.setting];
  return {
    ...placeVariables("python", options),
    PEER_LINGER_MS: String(lingerMs),
    PEER_BATCH_RECORDS: String(records),
    PEER_WRITERS: String(WRITERS),
  };
}

async function prepare({ onProgress = () => {} }: PrepareOptions = {}): Promise<void> {
  await installOnce(await folder(), async (empty) => {
    const version = await run("python3", ["--version"]);
    if (Number(/^Python 3\.(\d+)/.exec(version ?? "")?.[1] ?? 0) < OLDEST_MINOR) {
      throw new PipelineError(
        "stack_failed",
        `Cannot install the Python consumer: it needs Python 3.${OLDEST_MINOR} or later with venv and ${
          version === undefined ? "there is none on PATH" : `it is ${version}`
        }; install it (for example the packages python3 and python3-venv), or measure without it`,
      );
    }
    onProgress("Installing confluent-kafka, psycopg and orjson for Python (only once)");
    await run("python3", ["-m", "venv", empty]);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    await run(join(empty, "bin", "python"), [
      ...pip,
      "--require-hashes",
      "--only-binary=:all:",
      "--requirement",
      PYTHON_REQUIREMENTS,
    ]);
  });
}

/** @returns path of a Python interpreter that has the libraries */
export async function pythonWithLibraries(): Promise<string> {
  await prepare();
  return join(await folder(), "bin", "python");
}

async function start(options: PeerRun): Promise<Child> {
  await ensureReferenceTable(options.databaseUrl, options.table);
  return await startBuilt("python", {
    command: join(await folder(), "bin", "python"),
    args: ["-I", PYTHON_CONSUMER],
    env: pythonVariables(options),
    onLine: options.onLine ?? (() => {}),
  });
}

async function folder(): Promise<string> {
  return join(await cacheFolder(), `python-${digest(await Deno.readTextFile(PYTHON_REQUIREMENTS))}`);
}
