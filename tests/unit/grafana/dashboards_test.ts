/** The dashboards as Grafana will read them: shape, places, names, links, colours. */
import { readdirSync } from "node:fs";
import assert from "node:assert/strict";
import { builtFiles } from "../../../grafana/build.ts";
import { LIMITS } from "../../../grafana/limits.ts";
import { dashboards, panels, provisioning } from "../../../grafana/queries/grafana_files.ts";
import { type Dashboard, dataSourcesSchema, type Panel } from "../../../grafana/queries/grafana_schemas.ts";

Deno.test("the files in grafana/ are those that its code builds", async () => {
  for (const [path, content] of builtFiles()) {
    const file = await Deno.readTextFile(new URL(`../../../grafana/${path}`, import.meta.url));
    assert.ok(file === content, `grafana/${path} is out of date: run \`deno task dashboards\``);
  }
});

Deno.test("the three dashboards have the names and uids that links and people know", async () => {
  assert.deepEqual((await dashboards()).map(({ file, model }) => [file, model.uid, model.title]), [
    ["heartbeat-customer.json", "heartbeat-customer", "Heartbeat Monitoring Customer"],
    ["heartbeat-overview.json", "heartbeat-overview", "Heartbeat Monitoring Overview"],
    ["heartbeat-pipeline.json", "heartbeat-pipeline", "Heartbeat Monitoring Pipeline"],
  ]);
});

/** Rows, folded or not, among the panels. */
function everything({ panels }: Dashboard) {
  return panels.flatMap((one) => one.type === "row" ? [one, ...one.panels as Panel[]] : [one]);
}

function repeated<T>(values: readonly T[]): T[] {
  return values.filter((value, index) => values.indexOf(value) !== index);
}

Deno.test("ids are unique in a dashboard, rows included, and query names in a panel", async () => {
  for (const { file, model } of await dashboards()) {
    assert.deepEqual(repeated(everything(model).map(({ id }) => id)), [], file);
    for (const { title, targets } of panels(model)) {
      assert.deepEqual(repeated(targets.map(({ refId }) => refId)), [], `${file}: ${title}`);
    }
  }
});

Deno.test("no two panels overlap, and none reaches beyond the 24 columns", async () => {
  for (const { file, model } of await dashboards()) {
    const all = everything(model);
    const taken = new Map<string, string>();
    for (const { title, gridPos: { x, y, w, h } } of all) {
      assert.ok(x + w <= 24, `${file}: ${title} ends at column ${x + w}`);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          const other = taken.get(`${column},${line}`);
          assert.equal(other, undefined, `${file}: ${title} lies on ${other}`);
          taken.set(`${column},${line}`, String(title));
        }
      }
    }
  }
});

Deno.test("every link to a dashboard has a uid that exists, and sets a variable that the dashboard has", async () => {
  const all = await dashboards();
  const byUid = new Map(all.map(({ model }) => [model.uid, model]));
  for (const { file, model } of all) {
    const links = [...JSON.stringify(model).matchAll(/"url":"\/d\/([^"?]+)(?:\?var-(\w+)=)?/g)];
    const others = new Set(links.map(([, uid]) => uid));
    for (const [, uid = "", variable] of links) {
      const linked = byUid.get(uid);
      assert.ok(linked !== undefined, `${file} links to ${uid}`);
      if (variable === undefined) continue;
      assert.ok(linked.templating.list?.some(({ name }) => name === variable), `${uid} has no ${variable}`);
    }
    assert.deepEqual([...byUid.keys()].filter((uid) => uid !== model.uid && !others.has(uid)), [], file);
  }
});

Deno.test("queries go to data sources that are provisioned", async () => {
  const { datasources } = dataSourcesSchema.parse(await provisioning("datasources/heartbeat.yaml"));
  const uids = new Set(datasources.map(({ uid }) => uid));
  for (const { file, model } of await dashboards()) {
    for (const panel of panels(model)) {
      const used = [panel.datasource, ...panel.targets.map((target) => target.datasource)];
      for (const { uid } of used) assert.ok(uids.has(uid), `${file}: ${panel.title} asks ${uid}`);
    }
    for (const { name, datasource } of model.annotations.list ?? []) {
      assert.ok(uids.has(datasource.uid), name);
    }
    for (const { name, type, datasource } of model.templating.list ?? []) {
      if (type === "query") assert.ok(uids.has(datasource?.uid ?? ""), name);
    }
  }
});

Deno.test("only a folded row depends on Prometheus, and it says what it needs", async () => {
  for (const { file, model } of await dashboards()) {
    for (const panel of model.panels) {
      if (panel.type === "row") {
        const ofPrometheus = panel.panels.filter((one) =>
          JSON.stringify(one).includes("prometheus-heartbeats")
        );
        if (ofPrometheus.length === 0) continue;
        assert.equal(panel.collapsed, true, file);
        assert.match(panel.title, /needs the metrics profile/);
      } else {
        assert.ok(!JSON.stringify(panel).includes("prometheus-heartbeats"), `${file}: ${panel.title}`);
      }
    }
  }
});

Deno.test("every metric that is asked for is one that a worker has", async () => {
  const workers = new URL("../../../workers/", import.meta.url);
  const files = readdirSync(workers, { recursive: true, encoding: "utf8" });
  const told = files.filter((file) => file.endsWith(".ts"))
    .map((file) => Deno.readTextFileSync(new URL(file, workers))).join("");
  for (const { model } of await dashboards()) {
    for (
      const [name] of JSON.stringify(panels(model).map(({ targets }) => targets)).matchAll(
        /heartbeat_[a-z_]+(?=[[{)])/g,
      )
    ) {
      if (name === "heartbeat_rejects") continue;
      assert.ok(told.includes(`"${name.replace(/_bucket$/, "")}"`), name);
    }
  }
});

Deno.test("heart rates are in bpm, with the thresholds of the wire schema drawn in", async () => {
  const rate = (await dashboards()).flatMap(({ model }) => panels(model)).find(({ title }) =>
    title === "Heart rate"
  );
  assert.ok(rate !== undefined);
  const { unit, min, max, thresholds, custom } = rate.fieldConfig.defaults;
  assert.deepEqual([unit, min, max], ["suffix:bpm", LIMITS.minBpm, LIMITS.maxBpm]);
  assert.deepEqual(thresholds?.steps.map(({ value }) => value), [null, LIMITS.lowBpm, LIMITS.highBpm + 1]);
  assert.deepEqual(custom?.["thresholdsStyle"], { mode: "dashed" });
});

Deno.test("colours are of the palette that colour-blind people can tell apart, and red never meets green", async () => {
  const palette = ["#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#0072B2"];
  for (const { file, model } of await dashboards()) {
    for (const [colour] of JSON.stringify(model).matchAll(/#[0-9A-Fa-f]{6}\b/g)) {
      assert.ok(palette.includes(colour), `${file}: ${colour}`);
    }
    // Grafana's own palettes and names of colours would bring its red and green back.
    assert.doesNotMatch(
      JSON.stringify(model),
      /palette-classic|"(color|fixedColor)":"(red|green|yellow|orange|blue)/,
    );
    for (const { title, type, fieldConfig: { defaults } } of panels(model)) {
      if (type === "stat") {
        assert.ok(defaults.thresholds !== undefined, `${file}: ${title} has no thresholds`);
      }
      if (type === "timeseries" || type === "barchart") {
        assert.ok(defaults.color !== undefined, `${file}: ${title} takes Grafana's palette`);
      }
    }
  }
});

Deno.test("a series over time keeps its holes: nothing connects over them", async () => {
  for (const { file, model } of await dashboards()) {
    for (const panel of panels(model).filter(({ type }) => type === "timeseries")) {
      assert.notEqual(panel.fieldConfig.defaults.custom?.["spanNulls"], true, `${file}: ${panel.title}`);
    }
  }
});

Deno.test("links between dashboards, annotations and values are shown, not hidden in a menu or reduced to nothing", async () => {
  for (const { file, model } of await dashboards()) {
    assert.ok(!JSON.stringify([model.links, model.annotations]).includes("inControlsMenu"), file);
    for (const { title, type, options } of panels(model)) {
      if (type === "stat") {
        assert.deepEqual(options?.["reduceOptions"], { values: false, calcs: ["lastNotNull"] }, title);
      }
      if (type === "timeseries") {
        assert.equal((options?.["legend"] as { showLegend: boolean }).showLegend, true, title);
      }
    }
  }
});
