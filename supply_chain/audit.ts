/**
 * Asks the npm registry whether a package of deno.lock has a known vulnerability. "Could not ask" is an outcome of its
 * own: it is not "there is none", and a machine without the network can go on all the same.
 */
import { Command } from "commander";
import { runWorker } from "../workers/_shared/lifecycle.ts";
import { writeOut } from "../workers/_shared/output.ts";
import { printableLines } from "../workers/_shared/printable.ts";

/** Exit code when the registry was not to be had, or has no advisories to ask for. */
const NOT_ASKED = 3;

await runWorker(async ({ args, signal }) => {
  const { registry } = new Command("audit")
    .description("Asks the npm registry for known vulnerabilities of the locked packages.")
    .option("--registry <url>", "ask this one (default: that of .npmrc, or npm's own)")
    .addHelpText(
      "after",
      "\nExit codes: 0 asked and none known, 1 some are known, 3 the registry could not be asked." +
        "\n\nExample: deno task audit",
    )
    .exitOverride()
    .parse([...args], { from: "user" })
    .opts<{ registry?: string }>();
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["audit", "--frozen-lockfile"],
    env: { NO_COLOR: "1", ...(registry === undefined ? {} : { NPM_CONFIG_REGISTRY: registry }) },
    stdin: "null",
    signal,
  }).output();
  const said = new TextDecoder().decode(stdout).trim();
  const write = (text: string) => writeOut(`${printableLines(text)}\n`);
  // Its exit code is the same for a vulnerability and for a registry that does not answer; its words are not.
  if (code === 0 && said.includes("No known vulnerabilities found")) {
    write("No known vulnerabilities in the packages of deno.lock.");
    return 0;
  }
  if (/Found \d+ vulnerabilit/.test(said)) {
    write(said);
    return 1;
  }
  const [why = "it said nothing"] = new TextDecoder().decode(stderr).trim().split("\n");
  write(
    `NOT ASKED: the registry gave no advisories (${
      why.replace(/^error: /, "")
    }); nothing is known either way.`,
  );
  return NOT_ASKED;
});
