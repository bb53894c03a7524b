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
      "Writes a software bill of materials (SBOM) of the programs and the embedded Kafka as CycloneDX 1.6 JSON.",
    )
    .addHelpText(
      "after",
      "\nReads deno.lock, and asks Maven for the jars of stack/kafka/pom.xml (needs Java and Maven). The hashes of jars\n" +
        "are those of the files on this machine.\n\n" +
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
  const output = new TextDecoder().decode(stdout);
  if (success) return output.replace(/^\[INFO\]/gm, "");
  const [why = "Maven gave no reason"] = output.split("\n").filter((line) => line.startsWith("[ERROR]"));
  throw new PipelineError("stack_failed", `Cannot list Kafka's jars with Maven: ${why}`);
}
