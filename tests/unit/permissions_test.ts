import { deepStrictEqual } from "node:assert";
import { settingInfo } from "../../workers/_shared/env.ts";
import { CONSUMER_SETTINGS } from "../../workers/consumer/config.ts";
import { MONITOR_SETTINGS } from "../../workers/monitor/config.ts";
import { PRODUCER_SETTINGS } from "../../workers/producer/config.ts";
import { RECONCILE_SETTINGS } from "../../workers/reconcile/config.ts";
import { SCENARIO_SETTINGS } from "../../workers/scenarios/config.ts";
import { READER_SETTINGS } from "../../workers/_shared/running_servers.ts";

const WORKERS = {
  consumer: CONSUMER_SETTINGS,
  producer: PRODUCER_SETTINGS,
  reconcile: RECONCILE_SETTINGS,
  scenarios: SCENARIO_SETTINGS,
  monitor: MONITOR_SETTINGS,
  sql: READER_SETTINGS,
};

for (const [worker, settings] of Object.entries(WORKERS)) {
  Deno.test(`the ${worker} has permission to read exactly the environment variables of its settings`, async () => {
    const { permissions }: { permissions: Record<string, { env: { allow: string[] } }> } = JSON.parse(
      await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
    );
    const files = Object.entries(settings).filter(([, schema]) => settingInfo(schema).secret);
    const expected = [...Object.keys(settings), ...files.map(([name]) => `${name}_FILE`)];
    deepStrictEqual(permissions[worker]?.env.allow.toSorted(), expected.sort());
  });
}
