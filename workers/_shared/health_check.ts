/** `<program> health-check`: what a container's health check runs, where there is no curl. */
import { Argument, Command } from "commander";
import { type Environment, integer, parseSettings } from "./env.ts";
import { EXIT } from "./lifecycle.ts";
import { HEALTH_SETTINGS } from "./health.ts";
import { askLoopback } from "./loopback.ts";
import { writeOut } from "./output.ts";

/** Longer than a busy worker takes, shorter than the checks of a container are apart. */
const ANSWER_WITHIN_MS = 4_000;

const SETTINGS = {
  ...HEALTH_SETTINGS,
  HEALTH_PORT: integer({ min: 1, max: 65535, unit: "TCP port on which the worker answers" }),
};

/** Whether a program was called for its health check. */
export function isHealthCheck(args: readonly string[]): boolean {
  return args[0] === "health-check";
}

/**
 * Asks the worker beside us, in the same network namespace, and prints what it answered.
 *
 * @returns 0 when it is well; 1 when it is not, or does not answer
 * @throws UsageError when HEALTH_PORT does not say where it listens
 * @throws CommanderError after --help, or for an argument that does not exist
 */
export async function healthCheck(args: readonly string[], env: Environment): Promise<number> {
  const probe = new Argument("[probe]", "readyz: does it do its work; livez: should it be restarted")
    .choices(["readyz", "livez"]).default("readyz");
  const command = new Command("health-check").exitOverride().addArgument(probe)
    .description(
      "Asks the worker that runs beside it with the same HEALTH_PORT; exit code 0 when it is well.",
    )
    .addHelpText("after", "\nExample: HEALTH_PORT=9464 deno task consume health-check readyz")
    .parse(args.slice(1), { from: "user" });
  const { HEALTH_HOST, HEALTH_PORT } = parseSettings("health check", SETTINGS, env);
  // Who listens on every address answers on loopback, too.
  const named = ["0.0.0.0", "::"].includes(HEALTH_HOST) ? "127.0.0.1" : HEALTH_HOST;
  const host = named.includes(":") ? `[${named}]` : named;
  const url = `http://${host}:${HEALTH_PORT}/${command.processedArgs[0]}`;
  const { status, text } = await askLoopback(url, ANSWER_WITHIN_MS)
    .catch((error: Error) => ({ status: 0, text: error.message }));
  writeOut(`${url}: ${status || "no answer"} ${text.trim()}\n`);
  return status === 200 ? EXIT.ok : EXIT.failed;
}
