import { stringify } from "yaml";
import { alertingFile } from "./alerts.ts";
import { customer } from "./customer.ts";
import { overview } from "./overview.ts";
import { pipeline } from "./pipeline.ts";

/** Contents of the built files, by path below grafana/. */
export function builtFiles(): ReadonlyMap<string, string> {
  return new Map([
    ["dashboards/heartbeat-overview.json", json(overview().build())],
    ["dashboards/heartbeat-customer.json", json(customer().build())],
    ["dashboards/heartbeat-pipeline.json", json(pipeline().build())],
    ["provisioning/alerting/heartbeat_rules.yaml", yaml(alertingFile())],
  ]);
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

const yaml = (value: unknown) =>
  "# Built by `deno task dashboards` from grafana/alerts.ts.\n" +
  stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
