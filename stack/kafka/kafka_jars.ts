import { delimiter, join } from "node:path";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { CLONE, digest, exists, installOnce, STACK_FOLDER } from "../process/clone.ts";
import { TextLineStream } from "../process/lines.ts";

const POM = join(CLONE, "stack", "kafka", "pom.xml");
const OLDEST_JAVA = 17;
const REPORT_EVERY_MS = 1_000;

const OTHER_WAYS = "or use a broker of your own (KAFKA_BOOTSTRAP_SERVERS=host:9092), " +
  "or run everything in containers (docker compose up)";

const NO_MAVEN = "Maven fetches its jars and there is none (looked for mvn on PATH); " +
  "install it (for example the package maven)";

/** Java and the broker's jars, which Maven downloads once per clone, as `kafka/pom.xml` says. */
export interface Kafka {
  readonly java: string;
  readonly javaVersion: string;
  readonly version: string;
  /** Folder of the jars. */
  readonly jars: string;
}

/**
 * Finds Java and, if the jars are missing, Maven. Writes nothing.
 *
 * @throws PipelineError with everything that is missing
 */
export async function findKafka(env: { readonly JAVA_HOME?: string | undefined }): Promise<Kafka> {
  const pom = await Deno.readTextFile(POM);
  const version = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([^<]+)</.exec(pom)?.[1] ?? "unknown";
  const jars = join(STACK_FOLDER, `kafka-${version}-${digest(pom)}`);
  const problems: string[] = [];
  if (jars.includes(delimiter)) {
    problems.push(
      `Java cannot load programs from ${STACK_FOLDER}, expected a path without "${delimiter}"; move the clone`,
    );
  }
  const java = env.JAVA_HOME ? join(env.JAVA_HOME, "bin", "java") : "java";
  const javaVersion = /version "([^"]+)"/.exec(await run(java, ["-version"]) ?? "")?.[1];
  if (Number.parseInt(javaVersion?.replace(/^1\./, "") ?? "0", 10) < OLDEST_JAVA) {
    const found = javaVersion !== undefined
      ? `it is ${javaVersion}`
      : java === "java"
      ? "there is none on PATH"
      : `there is no ${java} (JAVA_HOME)`;
    problems.push(
      `it needs Java ${OLDEST_JAVA} or later and ${found}; ` +
        "install one (for example openjdk-17-jre-headless or Temurin)",
    );
  }
  if (!await exists(jars) && !/Apache Maven/.test(await run(...maven(["--version"])) ?? "")) {
    problems.push(NO_MAVEN);
  }
  if (problems.length > 0 || javaVersion === undefined) {
    throw new PipelineError("stack_failed", `Cannot start Kafka: ${problems.join("; ")}, ${OTHER_WAYS}`);
  }
  return { java, javaVersion, version, jars };
}

export async function fetchKafka(
  { jars, version }: Kafka,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (text: string) => void },
): Promise<void> {
  await Deno.mkdir(STACK_FOLDER, { recursive: true });
  const fetch = { pom: POM, version, size: "50 MB", jar: `kafka_2.13-${version}.jar`, signal, onProgress };
  await installOnce(jars, (empty) => fetchJars(empty, fetch));
}

/** @throws PipelineError if Java or Maven is missing, or the download fails */
export async function installKafka(
  env: { readonly JAVA_HOME?: string | undefined },
  options: { signal: AbortSignal; onProgress: (text: string) => void },
): Promise<Kafka> {
  const found = await findKafka(env);
  await fetchKafka(found, options);
  return found;
}

/** On Windows, `mvn` is a batch file, which only the command interpreter can run. */
function maven(args: readonly string[]): [command: string, args: string[]] {
  return Deno.build.os === "windows" ? ["cmd", ["/c", "mvn", ...args]] : ["mvn", [...args]];
}

async function run(command: string, args: string[]): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
    return new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    throw error;
  }
}

export interface Fetch {
  readonly pom: string;
  /** Maven gets it as `kafka.version`. */
  readonly version: string;
  readonly size: string;
  /** This file must exist after the download. */
  readonly jar: string;
  readonly options?: readonly string[];
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

export async function fetchJars(folder: string, fetch: Fetch): Promise<void> {
  const { pom, version, size, jar: expectedJar, options: moreArgs = [], signal, onProgress } = fetch;
  onProgress(`Kafka ${version}: downloading its jars with Maven (once, about ${size})`);
  const args = [
    "--batch-mode",
    "--strict-checksums",
    "--file",
    pom,
    "dependency:copy-dependencies",
    `-Dkafka.version=${version}`,
    `-DoutputDirectory=${folder}`,
    "-DincludeScope=runtime",
    ...moreArgs,
  ];
  const [command, commandArgs] = maven(args);
  const options: Deno.CommandOptions = {
    args: commandArgs,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal,
  };
  let fetching: Deno.ChildProcess;
  try {
    fetching = new Deno.Command(command, options).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new PipelineError("stack_failed", `Cannot start Kafka: ${NO_MAVEN}, ${OTHER_WAYS}`);
  }
  const errors: string[] = [];
  let fetched = 0;
  let reportedAt = performance.now();
  const lines = fetching.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  // Nothing uses standard error, but Maven would block if the pipe was full.
  const drained = fetching.stderr.pipeTo(new WritableStream());
  for await (const line of lines) {
    const jar = /Downloaded from .*\/([^/]+\.jar) \(([^ ]+ [kMG]?B)/.exec(line);
    if (jar !== null) fetched++;
    if (jar !== null && performance.now() - reportedAt >= REPORT_EVERY_MS) {
      onProgress(`Kafka ${version}: ${fetched} files so far, ${jar[1]} (${jar[2]})`);
      reportedAt = performance.now();
    }
    if (line.startsWith("[ERROR]")) errors.push(line.slice("[ERROR]".length).trim());
  }
  await drained;
  const { success } = await fetching.status;
  signal.throwIfAborted();
  if (success && await exists(join(folder, expectedJar))) return;
  throw new PipelineError(
    "stack_failed",
    `Cannot fetch Kafka ${version} with Maven: ${errors[0] ?? "Maven gave no reason"}; ` +
      `check the network and ~/.m2/settings.xml (proxy, mirror), ${OTHER_WAYS}`,
    { retriable: true },
  );
}
