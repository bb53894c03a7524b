/** Writes the bill of materials to standard output. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Command } from "commander";
import { CLONE } from "../../stack/process/clone.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { writeOut } from "../../workers/_shared/output.ts";
import { billOfMaterials } from "./bill_of_materials.ts";

await runWorker(async ({ args, readFile, signal }) => {
  new Command("sbom")
    .description(
      "Writes what the programs and the embedded Kafka are made of, with hashes, as CycloneDX 1.6 JSON.",
    )
    .addHelpText(
      "after",
      "\nFrom deno.lock, and from what Maven resolves for stack/kafka/pom.xml (needs Java and Maven): hashes of jars\n" +
        "are those of the files that Maven has here.\n\n" +
        "Example: deno task -q sbom > heartbeat.cdx.json",
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  const lock = JSON.parse(readFile(join(CLONE, "deno.lock")));
  const jars = await mavenList(signal);
  writeOut(billOfMaterials(lock, jars, sha512));
});

function sha512(path: string): string {
  return createHash("sha512").update(Deno.readFileSync(path)).digest("hex");
}

async function mavenList(signal: AbortSignal): Promise<string> {
  const pom = join(CLONE, "stack", "kafka", "pom.xml");
  const [command, prefix] = Deno.build.os === "windows" ? ["cmd", ["/c", "mvn"]] : ["mvn", []];
  const run = new Deno.Command(command, {
    args: [
      ...prefix,
      "--batch-mode",
      "--file",
      pom,
      "dependency:list",
      "-DincludeScope=runtime",
      "-DoutputAbsoluteArtifactFilename=true",
    ],
    stdin: "null",
    signal,
  });
  const { success, stdout } = await run.output().catch((error) => {
    throw new PipelineError("stack_failed", "Cannot list Kafka's jars: there is no Maven (mvn) on PATH", {
      cause: error,
    });
  });
  const said = new TextDecoder().decode(stdout);
  if (success) return said.replace(/^\[INFO\]/gm, "");
  const [why = "it failed without saying why"] = said.split("\n").filter((line) =>
    line.startsWith("[ERROR]")
  );
  throw new PipelineError("stack_failed", `Cannot list Kafka's jars with Maven: ${why}`);
}
