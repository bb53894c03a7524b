import { readdirSync } from "node:fs";
import assert from "node:assert/strict";
import { builtFiles } from "../../../grafana/build.ts";
import { LIMITS } from "../../../grafana/limits.ts";
import { dashboards, panels, provisioning } from "../../../grafana/queries/grafana_files.ts";
import { type Dashboard, dataSourcesSchema, type Panel } from "../../../grafana/queries/grafana_schemas.ts";

Deno.test("the files in grafana/ equal the output of the code that builds them", async () => {
  for (const [path, content] of builtFiles()) {
    const file = await Deno.readTextFile(new URL(`../../../grafana/${path}`, import.meta.url));
    assert.ok(file === content, `grafana/${path} is out of date: run \`deno task dashboards\``);
  }
});

Deno.test("the three dashboards have stable names and uids", async () => {
  assert.deepEqual((await dashboards()).map(({ file, model }) => [file, model.uid, model.title]), [
    ["heartbeat-customer.json", "heartbeat-customer", "Heartbeat Monitoring Customer"],
    ["heartbeat-overview.json", "heartbeat-overview", "Heartbeat Monitoring Overview"],
    ["heartbeat-pipeline.json", "heartbeat-pipeline", "Heartbeat Monitoring Pipeline"],
  ]);
});

function panelsAndRows({ panels }: Dashboard) {
  return panels.flatMap((panel) => panel.type === "row" ? [panel, ...panel.panels as Panel[]] : [panel]);
}

function repeated<T>(values: readonly T[]): T[] {
  return values.filter((value, index) => values.indexOf(value) !== index);
}

Deno.test("panel and row ids are unique in a dashboard, and query names are unique in a panel", async () => {
  for (const { file, model } of await dashboards()) {
    assert.deepEqual(repeated(panelsAndRows(model).map(({ id }) => id)), [], file);
    for (const { title, targets } of panels(model)) {
      assert.deepEqual(repeated(targets.map(({ refId }) => refId)), [], `${file}: ${title}`);
    }
  }
});

Deno.test("no two panels overlap, and every panel fits into the 24 columns", async () => {
  for (const { file, model } of await dashboards()) {
    const all = panelsAndRows(model);
    const taken = new Map<string, string>();
    for (const { title, gridPos: { x, y, w, h } } of all) {
      assert.ok(x + w <= 24, `${file}: ${title} ends at column ${x + w}`);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          const other = taken.get(`${column},${line}`);
          assert.equal(other, undefined, `${file}: ${title} overlaps ${other}`);
          taken.set(`${column},${line}`, String(title));
        }
      }
    }
  }
});

Deno.test("every link to a dashboard names an existing uid and sets only variables of that dashboard", async () => {
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

Deno.test("every query uses a provisioned data source", async () => {
  const { datasources } = dataSourcesSchema.parse(await provisioning("datasources/heartbeat.yaml"));
  const uids = new Set(datasources.map(({ uid }) => uid));
  for (const { file, model } of await dashboards()) {
    for (const panel of panels(model)) {
      const used = [panel.datasource, ...panel.targets.map((target) => target.datasource)];
      for (const { uid } of used) assert.ok(uids.has(uid), `${file}: ${panel.title} uses ${uid}`);
    }
    for (const { name, datasource } of model.annotations.list ?? []) {
      assert.ok(uids.has(datasource.uid), name);
    }
    for (const { name, type, datasource } of model.templating.list ?? []) {
      if (type === "query") assert.ok(uids.has(datasource?.uid ?? ""), name);
    }
  }
});

Deno.test("only panels in a collapsed row use Prometheus, and the row's title says what it needs", async () => {
  for (const { file, model } of await dashboards()) {
    for (const panel of model.panels) {
      if (panel.type === "row") {
        const ofPrometheus = panel.panels.filter((inner) =>
          JSON.stringify(inner).includes("prometheus-heartbeats")
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

Deno.test("every metric in a query exists in a worker", async () => {
  const workers = new URL("../../../workers/", import.meta.url);
  const files = readdirSync(workers, { recursive: true, encoding: "utf8" });
  const source = files.filter((file) => file.endsWith(".ts"))
    .map((file) => Deno.readTextFileSync(new URL(file, workers))).join("");
  for (const { model } of await dashboards()) {
    for (
      const [name] of JSON.stringify(panels(model).map(({ targets }) => targets)).matchAll(
        /heartbeat_[a-z_]+(?=[[{)])/g,
      )
    ) {
      if (name === "heartbeat_rejects") continue;
      assert.ok(source.includes(`"${name.replace(/_bucket$/, "")}"`), name);
    }
  }
});

Deno.test("the heart rate panel uses bpm and draws the default alarm limits", async () => {
  const rate = (await dashboards()).flatMap(({ model }) => panels(model)).find(({ title }) =>
    title === "Heart rate"
  );
  assert.ok(rate !== undefined);
  const { unit, min, max, thresholds, custom } = rate.fieldConfig.defaults;
  assert.deepEqual([unit, min, max], ["suffix:bpm", LIMITS.minBpm, LIMITS.maxBpm]);
  assert.deepEqual(thresholds?.steps.map(({ value }) => value), [null, LIMITS.lowBpm, LIMITS.highBpm + 1]);
  assert.deepEqual(custom?.["thresholdsStyle"], { mode: "dashed" });
});

Deno.test("every colour is from a palette that colour-blind people can distinguish", async () => {
  const palette = ["#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#0072B2"];
  for (const { file, model } of await dashboards()) {
    for (const [colour] of JSON.stringify(model).matchAll(/#[0-9A-Fa-f]{6}\b/g)) {
      assert.ok(palette.includes(colour), `${file}: ${colour}`);
    }
    // Grafana's own palettes and colour names contain red and green.
    assert.doesNotMatch(
      JSON.stringify(model),
      /palette-classic|"(color|fixedColor)":"(red|green|yellow|orange|blue)/,
    );
    for (const { title, type, fieldConfig: { defaults } } of panels(model)) {
      if (type === "stat") {
        assert.ok(defaults.thresholds !== undefined, `${file}: ${title} has no thresholds`);
      }
      if (type === "timeseries" || type === "barchart") {
        assert.ok(defaults.color !== undefined, `${file}: ${title} uses Grafana's palette`);
      }
    }
  }
});

Deno.test("a time series panel does not connect points across missing values", async () => {
  for (const { file, model } of await dashboards()) {
    for (const panel of panels(model).filter(({ type }) => type === "timeseries")) {
      assert.notEqual(panel.fieldConfig.defaults.custom?.["spanNulls"], true, `${file}: ${panel.title}`);
    }
  }
});

Deno.test("dashboard links, annotations, last values and legends are visible", async () => {
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
