/** Compares docs/configure.md, operate.md and troubleshoot.md with the settings, metrics, alerts and texts in the code. */
import { deepStrictEqual, ok } from "node:assert";
import { Registry } from "prom-client";
import type { z } from "zod";
import { RULES } from "../../grafana/alerts.ts";
import { STACK_SETTINGS } from "../../stack/command_line.ts";
import { settingInfo } from "../../workers/_shared/env.ts";
import { CONSUMER_SETTINGS } from "../../workers/consumer/config.ts";
import { consumerMetrics } from "../../workers/consumer/telemetry/metrics.ts";
import { MONITOR_SETTINGS } from "../../workers/monitor/config.ts";
import { monitorMetrics } from "../../workers/monitor/telemetry/telemetry.ts";
import { PRODUCER_SETTINGS } from "../../workers/producer/config.ts";
import { ProducerTelemetry } from "../../workers/producer/publish/telemetry.ts";
import { REJECT_REASONS } from "../../workers/_shared/record/heartbeat.ts";
import { RECONCILE_SETTINGS } from "../../workers/reconcile/config.ts";
import { SCENARIO_SETTINGS } from "../../workers/scenarios/config.ts";

const SETTINGS: Readonly<Record<string, z.ZodType>> = {
  ...CONSUMER_SETTINGS,
  ...PRODUCER_SETTINGS,
  ...SCENARIO_SETTINGS,
  ...RECONCILE_SETTINGS,
  ...MONITOR_SETTINGS,
  ...STACK_SETTINGS,
};

const [configure, operate, troubleshoot, compose] = await Promise.all(
  ["docs/configure.md", "docs/operate.md", "docs/troubleshoot.md", "docker-compose.yml"].map((path) =>
    Deno.readTextFile(new URL(`../../${path}`, import.meta.url))
  ),
) as [string, string, string, string];

/** @returns the table rows whose first cell is one name between backticks, as this name and all cells of the row */
function rows(page: string, name: RegExp): [name: string, cells: readonly string[]][] {
  return page.split("\n").flatMap((line): [string, readonly string[]][] => {
    const cells = line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim());
    const first = /^`([^`]+)`$/.exec(cells[0] ?? "")?.[1];
    return first !== undefined && name.test(first) ? [[first, cells]] : [];
  });
}

/** @returns the names between backticks in the first cell of each table row */
function firstNames(text: string): string[] {
  const cells = [...text.matchAll(/^\|([^|]*)\|/gm)].map(([, cell = ""]) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`([a-z0-9_.]+)`/g)].map(([, name = ""]) => name));
}

/** @returns the text below a heading, up to the next heading of level 2 */
function sectionOf(page: string, heading: string): string {
  return page.split(`\n${heading}\n`)[1]?.split("\n## ")[0] ?? "";
}

const documented = rows(configure, /^[A-Z][A-Z_]+$/);

Deno.test("docs/configure.md has every setting of the programs and of docker-compose.yml once, and no other", () => {
  const fromCompose = [...compose.matchAll(/(?<!\$)\$\{?([A-Z_]+)/g)].map(([, name = ""]) => name);
  // Compose itself reads COMPOSE_PROFILES.
  const read = new Set([...Object.keys(SETTINGS), ...fromCompose, "COMPOSE_PROFILES"]);
  deepStrictEqual(documented.map(([name]) => name).sort(), [...read].sort());
});

Deno.test("docs/configure.md has the default, the range and the choices that the program has", () => {
  const wrong = documented.flatMap(([name, [, initial = "", values = ""]]) => {
    const schema = SETTINGS[name];
    if (schema === undefined) return [];
    const { default: expected = "none", expected: allowed } = settingInfo(schema);
    const [, least, most] = /from (\d+) to (\d+)/.exec(allowed) ?? [];
    const choices = /^one of (.*)$/.exec(allowed)?.[1]?.split(", ") ?? [];
    const has = (what: string, holds: boolean) => holds ? [] : [`${name}: expected ${what}`];
    return [
      ...has(`the default ${expected}`, initial.replaceAll("`", "").split(" ")[0] === expected),
      ...has(`${least} to ${most}`, least === undefined || values.startsWith(`${least} to ${most}`)),
      ...has(allowed, choices.every((choice) => values.includes(`\`${choice}\``))),
    ];
  });
  deepStrictEqual(wrong, []);
});

Deno.test("docs/configure.md names the file variable of each secret, and no other", () => {
  const secrets = Object.entries(SETTINGS).filter(([, schema]) => settingInfo(schema).secret);
  const section = sectionOf(configure, "## Secrets");
  const named = new Set([...section.matchAll(/`([A-Z_]+_FILE)`/g)].map(([, name]) => name));
  deepStrictEqual([...named].sort(), secrets.map(([name]) => `${name}_FILE`).sort());
});

Deno.test("docs/operate.md has every metric of consumer, producer and monitor once, and no other", () => {
  const [consumer, producer, monitor] = [new Registry(), new Registry(), new Registry()];
  consumerMetrics(consumer);
  monitorMetrics(monitor);
  const silent = () => {};
  const log = { debug: silent, info: silent, warning: silent, error: silent };
  new ProducerTelemetry(log, producer, { eachRecord: false });
  const metrics = [consumer, producer, monitor].flatMap((registry) => registry.getMetricsAsArray());
  const listed = rows(operate, /^(heartbeat|process)_[a-z_]+$/).map(([name]) => name);
  deepStrictEqual(listed.sort(), metrics.map(({ name }) => name).sort());
});

Deno.test("docs/operate.md has every alert rule under its title, and no other", () => {
  const section = sectionOf(operate, "## Alerts");
  const titles = [...section.matchAll(/^### (.+)$/gm)].map(([, title]) => title);
  deepStrictEqual(titles.sort(), RULES.map(({ title }) => title).sort());
});

Deno.test("docs/troubleshoot.md explains every reason of a reject, and no other", () => {
  const section = sectionOf(troubleshoot, "### Reasons of a reject");
  deepStrictEqual(firstNames(section).sort(), [...REJECT_REASONS].sort());
});

Deno.test("docs/operate.md explains every warning and error of the workers, and no event that they do not write", async () => {
  const explained = firstNames(sectionOf(operate, "## Log events"));
  const source = await sourceOf(new URL("../../workers/", import.meta.url));
  const isWritten = (event: string) => {
    const [subject, fact] = event.split(".");
    return source.includes(`"${event.replace(/\.suppressed$/, "")}"`) ||
      (/^(kafka|group|database)$/.test(subject ?? "") && source.includes(`\`\${dependency}.${fact}\``));
  };
  deepStrictEqual(explained.filter((event) => !isWritten(event)), []);
  const alarming = [...source.matchAll(/\.(?:warning|error)\(\s*"([a-z_]+\.[a-z_]+)"/g)].map(([, event]) =>
    event
  );
  deepStrictEqual(alarming.filter((event) => !explained.includes(event ?? "")), []);
  ok(alarming.length > 15, `only ${alarming.length} warnings and errors were found`);
});

/** In quoted texts of docs/troubleshoot.md, these words stand for a value or for the rest of the text. */
const PLACEHOLDER = /\.\.\.|\b(?:HOST|NAME|N|FILE|FOLDER|ROLE|MACHINE|FIELD|A|B|X|Y|M)\b/;
/** SQL and command lines between backticks are no texts of the code. */
const NO_TEXT = /^(?:select|update|create|alter|set|encoding|docker|deno|consume) /;

/** @returns whether a text is one literal of the code, or several literals that the code joins */
function isComposed(words: readonly string[], source: string, from = 0): boolean {
  if (from === words.length) return true;
  for (let to = words.length; to > from; to--) {
    const fragment = trimmed(words.slice(from, to).join(" "));
    const bounds = { begins: from > 0, ends: to < words.length };
    if (occurs(fragment, source, bounds) && isComposed(words, source, to)) return true;
  }
  return false;
}

/** @param bounds whether the fragment must begin, and must end, at the border of a literal or of one of its `${values}` */
function occurs(fragment: string, source: string, bounds: { begins: boolean; ends: boolean }): boolean {
  for (let at = source.indexOf(fragment); at >= 0; at = source.indexOf(fragment, at + 1)) {
    const before = source.slice(Math.max(0, at - 4), at);
    const after = source.slice(at + fragment.length, at + fragment.length + 4);
    const begins = !bounds.begins || /["`}][ :;,.()]*$/.test(before);
    const ends = !bounds.ends || /^[ :;,.()]*(?:["`]|\$\{)/.test(after);
    if (begins && ends) return true;
  }
  return false;
}

const trimmed = (text: string) => text.replace(/^[ :;,"()]+|[ :;,"()]+$/g, "");

Deno.test("each error text and reason that docs/troubleshoot.md quotes is in the code", async () => {
  const code = await Promise.all(["workers", "stack", "migrations"].map((name) => {
    return sourceOf(new URL(`../../${name}/`, import.meta.url));
  }));
  // Joins literals that the code concatenates.
  const source = code.join("").replace(/["`]\s*\+\s*["`]/g, "").replace(/\s+/g, " ");
  const prose = troubleshoot.replace(/```[\s\S]*?```/g, "");
  const quoted = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);
  const texts = quoted.filter((text) => text.includes(" ") && !NO_TEXT.test(text)).flatMap((text) =>
    text.split(PLACEHOLDER)
  );
  const fragments = texts.map(trimmed).filter((text) => text !== "");
  deepStrictEqual(fragments.filter((text) => !isComposed(text.split(" "), source)), []);
  ok(fragments.length > 100, `only ${fragments.length} fragments were found`);
});

async function sourceOf(folder: URL): Promise<string> {
  let text = "";
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) text += await sourceOf(new URL(`${name}/`, folder));
    else if (/\.(?:ts|sql)$/.test(name)) text += await Deno.readTextFile(new URL(name, folder));
  }
  return text;
}
