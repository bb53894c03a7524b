/** The rules of who may know whom, held by reading the sources. */
import { deepStrictEqual, ok } from "node:assert";
import { readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname ?? ".", "..");
const ROOTS = [
  "workers",
  "migrations",
  "lab",
  "stack",
  "chaos",
  "bench",
  "grafana",
  "tools",
  "docs",
  "tests",
];
const LINES_AT_MOST = 300;
const SHARED = "workers/_shared workers/_shared/kafka workers/_shared/record";

/**
 * What the files of a folder may import besides each other, packages, and migrations/*.sql. `x/*` are the folders in x.
 * Tests may import everything; a folder that is not named here may import nothing.
 */
const MAY_IMPORT: Readonly<Record<string, string>> = {
  "migrations": "",
  "workers/_shared": "",
  "workers/_shared/kafka": "workers/_shared",
  "workers/_shared/record": "workers/_shared",
  "workers/consumer": `${SHARED} migrations workers/consumer/*`,
  "workers/consumer/health": "workers/_shared",
  "workers/consumer/schema": "workers/_shared migrations",
  "workers/consumer/kafka_partition": `${SHARED} workers/consumer/health`,
  "workers/consumer/day_partitions": "workers/_shared workers/consumer/health",
  "workers/consumer/store": `${SHARED} ` +
    "workers/consumer/schema workers/consumer/kafka_partition workers/consumer/day_partitions",
  "workers/consumer/rollup": "workers/_shared workers/_shared/kafka " +
    "workers/consumer/schema workers/consumer/kafka_partition workers/consumer/day_partitions",
  "workers/consumer/telemetry": `${SHARED} ` +
    "workers/consumer/health workers/consumer/kafka_partition workers/consumer/store",
  "workers/consumer/fetch": `${SHARED} ` +
    "workers/consumer/health workers/consumer/kafka_partition workers/consumer/telemetry",
  "workers/producer": `${SHARED} workers/producer/*`,
  "workers/producer/heart": "",
  "workers/producer/recording": "workers/_shared workers/_shared/record",
  "workers/producer/publish": SHARED,
  "workers/reconcile": "workers/_shared workers/_shared/kafka",
  "workers/scenarios": `${SHARED} workers/scenarios/*`,
  "workers/scenarios/catalogue": "workers/_shared/record",
  "stack/process": "workers/_shared",
  "stack/network": "workers/_shared",
  "stack/kafka": "stack/network stack/process workers/_shared",
  "stack/postgres": "stack/network stack/process workers/_shared",
  // deno.json lies at the root, and names the tasks that start workers.
  "stack": ". stack/kafka stack/network stack/postgres stack/process workers/_shared",
  "stack/up": "stack stack/process workers/_shared",
  "lab": `${SHARED} stack stack/*`,
  "chaos": `${SHARED} stack stack/* lab chaos/*`,
  "chaos/faults": "",
  "chaos/load": `${SHARED} stack/process`,
  "chaos/judge": `${SHARED} stack/process chaos/load`,
  "chaos/arena": `${SHARED} stack stack/* chaos/faults`,
  "grafana": "workers/_shared workers/_shared/record",
  "grafana/queries": "",
  "docs": "workers/_shared workers/_shared/record",
  "tools": ". workers/_shared",
  "tools/supply_chain": "stack/process workers/_shared",
};
/** Benchmarks measure parts of the workers, from outside and from inside. */
const MAY_IMPORT_IN_BENCH = "migrations lab stack stack/* grafana/queries bench/* workers/*";

interface Source {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  /** Imported files, from the root. */
  readonly files: readonly string[];
  /** Imports that are no files, as they are written, and the names that are taken from them. */
  readonly packages: readonly { readonly name: string; readonly taken: readonly string[] }[];
}

function readSource(path: string): Source {
  const text = Deno.readTextFileSync(join(ROOT, path));
  const imports = [
    ...text.matchAll(
      /^(?:import|export)\b([^;"]*?)\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\(\s*"([^"]+)"/gm,
    ),
  ].map(([, names = "", from, bare, dynamic]) => ({ name: from ?? bare ?? dynamic ?? "", names }));
  const isFile = ({ name }: { name: string }) => name.startsWith(".");
  const files = imports.filter(isFile).map(({ name }) =>
    slashed(relative(ROOT, join(ROOT, dirname(path), name)))
  );
  const packages = imports.filter((one) => !isFile(one)).map(({ name, names }) => ({
    name,
    taken: names.replace(/[{}]|\btype\b/g, "").split(",").map((taken) => taken.trim()).filter((taken) =>
      taken !== ""
    ),
  }));
  return { path, folder: dirname(path), text, files, packages };
}

function slashed(path: string): string {
  return path.replaceAll("\\", "/");
}

const sources = ROOTS.flatMap((root) =>
  readdirSync(join(ROOT, root), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => readSource(`${root}/${slashed(file)}`))
);

/** Sentences about each source that breaks a rule. */
function violations(rule: (source: Source) => readonly string[]): string[] {
  return sources.flatMap((source) => rule(source).map((what) => `${source.path} ${what}`));
}

/** Comments taken out: a rule is about what code does. */
function codeOf({ text }: Source): string {
  return text.replace(/\/\*[^]*?\*\//g, "").replace(/\/\/.*$/gm, "");
}

/** The ways that come back to where they began, one for each: nodes joined by arrows. */
function cycles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (node: string, way: readonly string[]) => {
    const at = way.indexOf(node);
    if (at >= 0) return void found.push([...way.slice(at), node].join(" -> "));
    if (done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...way, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return found;
}

Deno.test("the sources are found, and so are their imports", () => {
  const main = sources.find(({ path }) => path === "workers/consumer/main.ts");
  ok(main?.files.includes("workers/_shared/lifecycle.ts"));
  deepStrictEqual(cycles(new Map([["a", new Set(["b"])], ["b", new Set(["c", "a"])]])), ["a -> b -> a"]);
});

Deno.test("each folder imports only the folders that it may know, types included", () => {
  const found = violations(({ folder, files }) => {
    if (/^tests(\/|$)/.test(folder)) return [];
    const list = /^bench(\/|$)/.test(folder) ? MAY_IMPORT_IN_BENCH : MAY_IMPORT[folder] ?? "";
    const allowed = list.split(" ").filter((one) => one !== "");
    const may = (other: string) =>
      other === folder ||
      allowed.some((one) => one.endsWith("/*") ? other.startsWith(one.slice(0, -1)) : other === one);
    return files.filter((file) => !may(dirname(file)) && !/^migrations\/\d{4}_\w+\.sql$/.test(file))
      .map((file) => `imports ${file}`);
  });
  deepStrictEqual(found, []);
});

Deno.test("no files and no folders import each other in a circle, types included", () => {
  const files = new Map(sources.map(({ path, files }) => [path, new Set(files)]));
  const folders = new Map<string, Set<string>>();
  for (const { folder, files } of sources) {
    const known = folders.get(folder) ?? new Set();
    for (const file of files) if (dirname(file) !== folder) known.add(dirname(file));
    folders.set(folder, known);
  }
  deepStrictEqual({ files: cycles(files), folders: cycles(folders) }, { files: [], folders: [] });
});

Deno.test("only _shared/kafka uses undocumented parts of Kafka's client, beside what compares them", () => {
  const documented = /^(Admin|Consumer|Producer|Base|ConfigResourceTypes|FindCoordinatorKeyTypes)$/;
  const mayKnow =
    /^(workers\/_shared\/kafka|tests\/unit\/_shared\/kafka|bench\/parts)\/|^tests\/support\/record_batch\.ts$/;
  const found = violations(({ path, packages }) => {
    if (mayKnow.test(path)) return [];
    return packages.filter(({ name }) => name === "@platformatic/kafka")
      .flatMap(({ taken }) =>
        taken.filter((name) => !documented.test(name)).map((name) => `imports ${name}`)
      );
  });
  deepStrictEqual(found, []);
});

Deno.test("what the consumer decides knows neither Kafka's client nor PostgreSQL's", () => {
  const found = violations(({ path, packages }) =>
    /^workers\/(_shared\/record|consumer\/(kafka_partition|health|telemetry))\//.test(path)
      ? packages.filter(({ name }) => /kafka|^pg/.test(name)).map(({ name }) => `imports ${name}`)
      : []
  );
  deepStrictEqual(found, []);
});

Deno.test("in workers only main.ts and lifecycle.ts touch the environment, signals and the end of the process", () => {
  const found = violations((source) => {
    const { path, packages } = source;
    if (!path.startsWith("workers/") || /\/(main|lifecycle)\.ts$/.test(path)) return [];
    const calls = codeOf(source).matchAll(/\bDeno\.(env|exit|addSignalListener|args)\b/g);
    return [
      ...[...calls].map(([call]) => `uses ${call}`),
      ...packages.filter(({ name }) => name === "node:process").map(({ name }) => `imports ${name}`),
    ];
  });
  deepStrictEqual(found, []);
});

Deno.test("every package stands once, in the import map, with its exact version", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))) as {
    imports: Record<string, string>;
  };
  const vague = Object.entries(imports).filter(([, target]) => !/@\d+\.\d+\.\d+[\w.-]*(\/|$)/.test(target));
  deepStrictEqual(vague, []);
  const known = Object.keys(imports);
  const found = violations(({ packages }) =>
    packages.filter(({ name }) => {
      return !/^(node|npm):/.test(name) &&
        !known.some((one) => name === one || name.startsWith(one.endsWith("/") ? one : `${one}/`));
    }).map(({ name }) => `imports ${name}`)
  );
  deepStrictEqual(found, []);
});

Deno.test("files are snake_case, have one noun, and no drawer of odds and ends among them", () => {
  const found = violations(({ path }) => {
    const name = path.split("/").at(-1) ?? "";
    if (!/^[a-z0-9_]+\.tsx?$/.test(name)) return ["is not snake_case"];
    return /^(utils?|helpers?|types|constants|common|misc)\.tsx?$/.test(name) ? ["is a drawer"] : [];
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

Deno.test("each folder's first file says what the folder is for", () => {
  const firsts = new Map<string, Source>();
  for (const source of sources.toSorted((a, b) => a.path < b.path ? -1 : 1)) {
    if (!firsts.has(source.folder)) firsts.set(source.folder, source);
  }
  const found = [...firsts.values()].filter(({ folder, text }) => {
    const name = folder.split("/").at(-1);
    const isMeant = /^(workers\/.|stack|chaos|lab)/.test(folder);
    return isMeant && !new RegExp(`^/\\*\\*(\\n \\*)? Folder \`${name}\`: `).test(text);
  });
  deepStrictEqual(found.map(({ path }) => path), []);
});

Deno.test("every task has a description, and no task and no permission set asks for everything", async () => {
  const text = await Deno.readTextFile(join(ROOT, "deno.json"));
  const { tasks } = JSON.parse(text) as { tasks: Record<string, { description?: string }> };
  deepStrictEqual(Object.keys(tasks).filter((name) => (tasks[name]?.description ?? "") === ""), []);
  ok(!/(^|\s)(-A|--allow-all)\b|"all":\s*true/.test(text));
});
