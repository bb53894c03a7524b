import { join } from "node:path";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { CLONE, digest, installOnce, STACK_FOLDER } from "../process/clone.ts";
import { fetchJars, installKafka } from "./kafka_jars.ts";
import { escapeValue } from "./kafka_properties.ts";

const POM = join(CLONE, "stack", "kafka", "tools_pom.xml");

/** The flags of `kafka-run-class.sh`, with the heap of `kafka-producer-perf-test.sh`. */
const JAVA_OPTIONS = [
  "-Xmx512M",
  "-server",
  "-XX:+UseG1GC",
  "-XX:MaxGCPauseMillis=20",
  "-XX:InitiatingHeapOccupancyPercent=35",
  "-XX:+ExplicitGCInvokesConcurrent",
  "-Djava.awt.headless=true",
];

/**
 * Downloads the jar of Kafka's command-line tools once per clone, as `kafka/tools_pom.xml` says.
 *
 * @param tool a class in `org.apache.kafka.tools`
 * @returns the start of the tool's command line
 */
export async function installTool(
  tool: string,
  options: { readonly signal: AbortSignal; readonly onProgress: (text: string) => void },
): Promise<{ readonly command: string; readonly args: readonly string[] }> {
  const { java, jars, version } = await installKafka({ JAVA_HOME: Deno.env.get("JAVA_HOME") }, options);
  const pom = await Deno.readTextFile(POM);
  const folder = join(STACK_FOLDER, `kafka-tools-${version}-${digest(pom)}`);
  await installOnce(folder, (empty) =>
    fetchJars(empty, {
      pom: POM,
      version,
      size: "1 MB",
      jar: `kafka-tools-${version}.jar`,
      options: ["-DexcludeTransitive=true"],
      ...options,
    }));
  const classPath = [join(jars, "*"), join(folder, "*")].join(Deno.build.os === "windows" ? ";" : ":");
  return { command: java, args: [...JAVA_OPTIONS, "-cp", classPath, `org.apache.kafka.tools.${tool}`] };
}

/**
 * Creates a user of SCRAM-SHA-256 and SCRAM-SHA-512, or changes the password.
 *
 * @param server host:port of a listener that needs no authentication
 * @throws PipelineError with the output of Kafka's tool
 */
export async function setScramPassword(server: string, user: string, password: string): Promise<void> {
  const quiet = { signal: new AbortController().signal, onProgress: () => {} };
  const { command, args } = await installTool("ConfigCommand", quiet);
  // A password in a command line would be visible to other users.
  const file = await Deno.makeTempFile({ prefix: "heartbeat-scram-" });
  try {
    // Kafka refuses a request that names a user twice.
    for (const mechanism of ["SCRAM-SHA-256", "SCRAM-SHA-512"]) {
      await Deno.writeTextFile(file, `${mechanism}=password=${escapeValue(password)}\n`);
      const change = ["--bootstrap-server", server, "--alter", "--add-config-file", file];
      const { success, stdout, stderr } = await new Deno.Command(command, {
        args: [...args, ...change, "--entity-type", "users", "--entity-name", user],
        stdin: "null",
      }).output();
      if (success) continue;
      const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim()).join(" ");
      throw new PipelineError(
        "stack_failed",
        `Cannot set the password of ${user} at Kafka ${server}: ${output}`,
      );
    }
  } finally {
    await Deno.remove(file);
  }
}
