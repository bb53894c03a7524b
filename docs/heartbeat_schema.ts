/** Writes docs/heartbeat.schema.json, the published form of the wire schema, or checks that it is up to date. */
import { Command } from "commander";
import { heartbeatJsonSchema } from "../workers/_shared/record/heartbeat.ts";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";

const FILE = new URL("heartbeat.schema.json", import.meta.url);

const program = new Command("schema")
  .description(
    "Writes docs/heartbeat.schema.json from the zod schema in workers/_shared/record/heartbeat.ts.",
  )
  .option("--check", "write nothing; exit with 1 when the file is out of date", false)
  .addHelpText("after", "\nExamples:\n  deno task schema\n  deno task schema --check")
  .exitOverride();

await runWorker(async ({ args }) => {
  const { check } = program.parse(args, { from: "user" }).opts<{ check: boolean }>();
  const expected = `${JSON.stringify(heartbeatJsonSchema(), null, 2)}\n`;
  if (!check) return await Deno.writeTextFile(FILE, expected);
  if (await Deno.readTextFile(FILE).catch(() => "") === expected) return EXIT.ok;
  Deno.stderr.writeSync(
    new TextEncoder().encode("docs/heartbeat.schema.json is out of date: run `deno task schema`\n"),
  );
  return EXIT.failed;
});
