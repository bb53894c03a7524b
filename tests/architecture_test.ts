/** Checks the rules about imports, names and sizes by reading the sources. */
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
const MAX_LINES = 300;
const SHARED = "workers/_shared workers/_shared/kafka workers/_shared/record";

/**
 * The folders that each folder may import, besides itself, packages and migrations/*.sql. `x/*` means the folders in x.
 * Tests may import everything. A folder that is missing here may import nothing.
 */
const MAY_IMPORT: Readonly<Record<string, string>> = {
  "migrations": "",
  // deno.json lies at the root, and has the version.
  "workers/_shared": ".",
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
  "workers/monitor/access": "workers/_shared workers/monitor/pages workers/monitor/server",
  "workers/monitor/server": "workers/_shared",
  "workers/reconcile": "workers/_shared workers/_shared/kafka",
  "workers/sql": "workers/_shared",
  "workers/scenarios": `${SHARED} workers/scenarios/*`,
  "workers/scenarios/catalogue": "workers/_shared/record",
  "workers/monitor": `${SHARED} migrations workers/monitor/*`,
  "workers/monitor/view": "",
  "workers/monitor/live": "workers/_shared " +
    "workers/monitor/pages workers/monitor/queries workers/monitor/telemetry workers/monitor/view",
  "workers/monitor/telemetry": "workers/_shared",
  "workers/monitor/client": "workers/monitor/view",
  "workers/monitor/pages":
    "workers/_shared workers/_shared/record workers/monitor/assets workers/monitor/view",
  "workers/monitor/queries": "workers/_shared workers/_shared/record workers/monitor/view",
  "stack/process": "workers/_shared",
  "stack/network": "workers/_shared",
  "stack/kafka": "stack/network stack/process workers/_shared",
  "stack/postgres": "stack/network stack/process workers/_shared",
  // The root, because deno.json names the tasks that start the workers.
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
  "tools/screenshots": "stack stack/process lab workers/_shared workers/producer/heart",
};
/** Benchmarks measure whole workers and also single parts of them. */
const MAY_IMPORT_IN_BENCH = "migrations lab stack stack/* grafana/queries bench/* workers/*";

interface Source {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  /** Imported files, relative to the root. */
  readonly files: readonly string[];
  /** Imported packages as they are written, and the names that are imported from them. */
  readonly packages: readonly { readonly name: string; readonly names: readonly string[] }[];
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
  const packages = imports.filter((item) => !isFile(item)).map(({ name, names }) => ({
    name,
    names: names.replace(/[{}]|\btype\b/g, "").split(",").map((item) => item.trim()).filter((item) =>
      item !== ""
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

/** @param rule what is wrong with a source, each without its path */
function violations(rule: (source: Source) => readonly string[]): string[] {
  return sources.flatMap((source) => rule(source).map((what) => `${source.path} ${what}`));
}

/** The source without comments. */
function codeOf({ text }: Source): string {
  return text.replace(/\/\*[^]*?\*\//g, "").replace(/\/\/.*$/gm, "");
}

/** Each cycle as its nodes, joined by arrows. */
function cycles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (node: string, path: readonly string[]) => {
    const start = path.indexOf(node);
    if (start >= 0) return void found.push([...path.slice(start), node].join(" -> "));
    if (done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...path, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return found;
}

Deno.test("the architecture test finds the sources, their imports and cycles", () => {
  const main = sources.find(({ path }) => path === "workers/consumer/main.ts");
  ok(main?.files.includes("workers/_shared/lifecycle.ts"));
  deepStrictEqual(cycles(new Map([["a", new Set(["b"])], ["b", new Set(["c", "a"])]])), ["a -> b -> a"]);
});

Deno.test("each folder imports only the folders that MAY_IMPORT lists, types included", () => {
  const found = violations(({ folder, files }) => {
    if (/^tests(\/|$)/.test(folder)) return [];
    const list = /^bench(\/|$)/.test(folder) ? MAY_IMPORT_IN_BENCH : MAY_IMPORT[folder] ?? "";
    const allowed = list.split(" ").filter((entry) => entry !== "");
    const mayImport = (other: string) =>
      other === folder ||
      allowed.some((entry) => entry.endsWith("/*") ? other.startsWith(entry.slice(0, -1)) : other === entry);
    return files.filter((file) => !mayImport(dirname(file)) && !/^migrations\/\d{4}_\w+\.sql$/.test(file))
      .map((file) => `imports ${file}`);
  });
  deepStrictEqual(found, []);
});

Deno.test("no files and no folders import each other in a cycle, types included", () => {
  const files = new Map(sources.map(({ path, files }) => [path, new Set(files)]));
  const folders = new Map<string, Set<string>>();
  for (const { folder, files } of sources) {
    const imported = folders.get(folder) ?? new Set();
    for (const file of files) if (dirname(file) !== folder) imported.add(dirname(file));
    folders.set(folder, imported);
  }
  deepStrictEqual({ files: cycles(files), folders: cycles(folders) }, { files: [], folders: [] });
});

Deno.test("only _shared/kafka, its tests and a benchmark use undocumented parts of Kafka's client", () => {
  const documented = /^(Admin|Consumer|Producer|Base|ConfigResourceTypes|FindCoordinatorKeyTypes)$/;
  const mayUse =
    /^(workers\/_shared\/kafka|tests\/unit\/_shared\/kafka|bench\/parts)\/|^tests\/support\/record_batch\.ts$/;
  const found = violations(({ path, packages }) => {
    if (mayUse.test(path)) return [];
    return packages.filter(({ name }) => name === "@platformatic/kafka")
      .flatMap(({ names }) =>
        names.filter((name) => !documented.test(name)).map((name) => `imports ${name}`)
      );
  });
  deepStrictEqual(found, []);
});

Deno.test("the record, partition, health and telemetry code imports neither Kafka's client nor PostgreSQL's", () => {
  const found = violations(({ path, packages }) =>
    /^workers\/(_shared\/record|consumer\/(kafka_partition|health|telemetry))\//.test(path)
      ? packages.filter(({ name }) => /kafka|^pg/.test(name)).map(({ name }) => `imports ${name}`)
      : []
  );
  deepStrictEqual(found, []);
});

Deno.test("only main.ts and lifecycle.ts of the workers use the environment, arguments, signals and exit of the process", () => {
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

Deno.test("every package is in the import map, with an exact version", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))) as {
    imports: Record<string, string>;
  };
  const vague = Object.entries(imports).filter(([, target]) => !/@\d+\.\d+\.\d+[\w.-]*(\/|$)/.test(target));
  deepStrictEqual(vague, []);
  const known = Object.keys(imports);
  const found = violations(({ packages }) =>
    packages.filter(({ name }) => {
      return !/^(node|npm):/.test(name) &&
        !known.some((entry) => name === entry || name.startsWith(entry.endsWith("/") ? entry : `${entry}/`));
    }).map(({ name }) => `imports ${name}`)
  );
  deepStrictEqual(found, []);
});

Deno.test("file names are snake_case, and no file has a generic name such as utils.ts", () => {
  const found = violations(({ path }) => {
    const name = path.split("/").at(-1) ?? "";
    if (!/^[a-z0-9_]+\.tsx?$/.test(name)) return ["is not snake_case"];
    return /^(utils?|helpers?|types|constants|common|misc)\.tsx?$/.test(name) ? ["has a generic name"] : [];
  });
  deepStrictEqual(found, []);
});

Deno.test(`no file has more than ${MAX_LINES} lines, and no main.ts of a worker more than 80`, () => {
  const found = violations(({ path, text }) => {
    const lines = text.trimEnd().split("\n").length;
    const maxLines = /^workers\/[^/]+\/main\.ts$/.test(path) ? 80 : MAX_LINES;
    return lines > maxLines ? [`has ${lines} lines`] : [];
  });
  deepStrictEqual(found, []);
});

Deno.test("the first file of each folder says what the folder is for", () => {
  const firsts = new Map<string, Source>();
  for (const source of sources.toSorted((a, b) => a.path < b.path ? -1 : 1)) {
    if (!firsts.has(source.folder)) firsts.set(source.folder, source);
  }
  const found = [...firsts.values()].filter(({ folder, text }) => {
    const name = folder.split("/").at(-1);
    const needsHeader = /^(workers\/.|stack|chaos|lab)/.test(folder);
    return needsHeader && !new RegExp(`^/\\*\\*(\\n \\*)? Folder \`${name}\`: `).test(text);
  });
  deepStrictEqual(found.map(({ path }) => path), []);
});

Deno.test("every task has a description, and no task or permission set allows everything", async () => {
  const text = await Deno.readTextFile(join(ROOT, "deno.json"));
  const { tasks } = JSON.parse(text) as { tasks: Record<string, { description?: string }> };
  deepStrictEqual(Object.keys(tasks).filter((name) => (tasks[name]?.description ?? "") === ""), []);
  ok(!/(^|\s)(-A|--allow-all)\b|"all":\s*true/.test(text));
});
