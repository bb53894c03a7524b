import { ok } from "node:assert";
import client from "../../../workers/monitor/assets/client.js" with { type: "text" };

Deno.test("the page's script is bundled from workers/monitor/client, and names the licenses of its packages", async () => {
  const main = new URL("../../../workers/monitor/client/main.ts", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "-q", "--frozen", "--platform", "browser", "--minify", main.pathname],
    stderr: "inherit",
  }).output();
  ok(client === new TextDecoder().decode(stdout), "client.js is out of date: run `deno task assets`");
  ok(/uPlot, copyright .* MIT License/.test(client), "a minifier removed the notice of main.ts");
});
