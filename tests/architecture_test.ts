/** The rules of who may know whom, held by reading the sources. */
import { deepStrictEqual, ok } from "node:assert";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname ?? ".", "..");
/** Roots of code that is no test. */
const SHIPPED = ["workers", "migrations", "stack", "chaos"];
const LINES_AT_MOST = 300;

interface Source {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Imported files, from the root. */
  readonly files: readonly string[];
  /** Imports that are no files, as they are written. */
  readonly packages: readonly string[];
}

async function* sourcesBelow(folder: string): AsyncGenerator<Source> {
  for await (const entry of Deno.readDir(join(ROOT, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sourcesBelow(path);
    else if (entry.name.endsWith(".ts")) yield readSource(path);
  }
}

function readSource(path: string): Source {
  const text = Deno.readTextFileSync(join(ROOT, path));
  const specifiers = [...text.matchAll(/^(?:import|export)\b[^;]*?\bfrom "([^"]+)"|\bimport\("([^"]+)"\)/gm)]
    .map(([, from, dynamic]) => from ?? dynamic ?? "");
  const isFile = (specifier: string) => specifier.startsWith(".");
  const files = specifiers.filter(isFile).map((specifier) => {
    return relative(ROOT, join(ROOT, dirname(path), specifier)).replaceAll("\\", "/");
  });
  return { path, text, files, packages: specifiers.filter((specifier) => !isFile(specifier)) };
}

const sources: Source[] = [];
for (const folder of SHIPPED) for await (const source of sourcesBelow(folder)) sources.push(source);

/** Sentences about each source that breaks a rule. */
function violations(rule: (source: Source) => readonly string[]): string[] {
  return sources.flatMap((source) => rule(source).map((what) => `${source.path} ${what}`));
}

function workerOf(path: string): string | undefined {
  return /^workers\/([^/]+)\//.exec(path)?.[1];
}

/** Comments taken out: a rule is about what code does. */
function codeOf({ text }: Source): string {
  return text.replace(/\/\*[^]*?\*\//g, "").replace(/\/\/.*$/gm, "");
}

Deno.test("the sources are found, and so are their imports", () => {
  const main = sources.find(({ path }) => path === "workers/consumer/main.ts");
  ok(main?.files.includes("workers/_shared/lifecycle.ts"));
  ok(main?.files.includes("migrations/mod.ts"));
});

Deno.test("a worker imports its own files, _shared and migrations/mod.ts; _shared imports no worker", () => {
  const found = violations(({ path, files }) => {
    const worker = workerOf(path);
    if (worker === undefined) return [];
    return files
      .filter((file) => {
        const other = workerOf(file);
        if (other === worker || other === "_shared") return false;
        return worker === "_shared" || file !== "migrations/mod.ts";
      })
      .map((file) => `imports ${file}`);
  });
  deepStrictEqual(found, []);
});

Deno.test("migrations import nothing but their own SQL", () => {
  const found = violations(({ path, files, packages }) => {
    if (!path.startsWith("migrations/")) return [];
    return [...files.filter((file) => !/^migrations\/\d{4}_\w+\.sql$/.test(file)), ...packages]
      .map((specifier) => `imports ${specifier}`);
  });
  deepStrictEqual(found, []);
});

Deno.test("in workers only main.ts and lifecycle.ts touch the environment, signals and the end of the process", () => {
  const found = violations((source) => {
    const { path } = source;
    if (workerOf(path) === undefined || path.endsWith("/main.ts")) return [];
    if (path === "workers/_shared/lifecycle.ts") return [];
    const calls = codeOf(source).matchAll(/\bDeno\.(env|exit|addSignalListener|args)\b/g);
    return [
      ...[...calls].map(([call]) => `uses ${call}`),
      ...source.packages.filter((name) => name === "node:process").map((name) => `imports ${name}`),
    ];
  });
  deepStrictEqual(found, []);
});

Deno.test("workers say what they have to say through telemetry or standard output, never by console", () => {
  deepStrictEqual(
    violations((source) => {
      if (workerOf(source.path) === undefined) return [];
      return [...codeOf(source).matchAll(/\bconsole\.\w+/g)].map(([call]) => `uses ${call}`);
    }),
    [],
  );
});

Deno.test("only the consumer's ends know Kafka's client and PostgreSQL's: the algorithm between knows neither", () => {
  const pure = /^workers\/consumer\/(decode|process_batch|progress|partition|offset_reset|notifier)\.ts$/;
  const found = violations(({ path, packages }) => {
    if (!pure.test(path)) return [];
    return packages.filter((name) => /kafka|^pg/.test(name)).map((name) => `imports ${name}`);
  });
  deepStrictEqual(found, []);
});

Deno.test("every package stands once, in the import map, with its exact version", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))) as {
    imports: Record<string, string>;
  };
  const vague = Object.entries(imports).filter(([, target]) => !/@\d+\.\d+\.\d+[\w.-]*(\/|$)/.test(target));
  deepStrictEqual(vague, []);
  const found = violations(({ packages }) => {
    return packages
      .filter((name) => !name.startsWith("node:") && !Object.hasOwn(imports, name))
      .map((name) => `imports ${name}`);
  });
  deepStrictEqual(found, []);
});

Deno.test("files are snake_case, have one noun, and no drawer of odds and ends among them", () => {
  const found = violations(({ path }) => {
    const name = path.split("/").at(-1) ?? "";
    if (!/^[a-z0-9_]+\.ts$/.test(name)) return ["is not snake_case"];
    return /^(utils?|helpers?|types|constants|common|misc)\.ts$/.test(name) ? ["is a drawer"] : [];
  });
  deepStrictEqual(found, []);
});

Deno.test(`no file is longer than ${LINES_AT_MOST} lines, and a worker's main.ts than 80`, () => {
  const found = violations(({ path, text }) => {
    const lines = text.trimEnd().split("\n").length;
    const atMost = /^workers\/[^/]+\/main\.ts$/.test(path) ? 80 : LINES_AT_MOST;
    return lines > atMost ? [`has ${lines} lines`] : [];
  });
  deepStrictEqual(found, []);
});

Deno.test("every task has a description", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))) as {
    tasks: Record<string, { description?: string }>;
  };
  deepStrictEqual(Object.keys(tasks).filter((name) => (tasks[name]?.description ?? "") === ""), []);
});

Deno.test("no task and no permission set asks for everything", async () => {
  const text = await Deno.readTextFile(join(ROOT, "deno.json"));
  ok(!/(^|\s)(-A|--allow-all)\b|"all":\s*true/.test(text));
});
