/** The broker's jars: fetched once per clone by Maven, from `kafka/pom.xml`. */
import { join } from "node:path";
import { PipelineError } from "../workers/_shared/errors.ts";
import { CLONE, digest, exists, installOnce, STACK_FOLDER } from "./clone.ts";
import { TextLineStream } from "./lines.ts";

const POM = join(CLONE, "stack", "kafka", "pom.xml");
const OLDEST_JAVA = 17;
const TELL_EVERY_MS = 1_000;

const OTHER_WAYS = "or use a broker of your own (KAFKA_BOOTSTRAP_SERVERS=host:9092), " +
  "or run everything in containers (docker compose up)";

export interface Kafka {
  /** The program that runs it. */
  readonly java: string;
  readonly javaVersion: string;
  readonly version: string;
  /** The folder with the jars, and only jars. */
  readonly jars: string;
}

/**
 * Finds Java and the jars; fetches the jars the first time.
 *
 * @throws PipelineError when Java or Maven is missing, or when the jars cannot be had
 */
export async function installKafka(
  env: { readonly JAVA_HOME?: string | undefined },
  { signal, onProgress }: { signal: AbortSignal; onProgress: (text: string) => void },
): Promise<Kafka> {
  // An empty variable is one that is not set.
  const java = env.JAVA_HOME ? join(env.JAVA_HOME, "bin", "java") : "java";
  const javaVersion = await requireJava(java);
  const pom = await Deno.readTextFile(POM);
  const version = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([^<]+)</.exec(pom)?.[1] ?? "unknown";
  await Deno.mkdir(STACK_FOLDER, { recursive: true });
  const jars = join(STACK_FOLDER, `kafka-${version}-${digest(pom)}`);
  const fetch = { pom: POM, version, size: "50 MB", jar: `kafka_2.13-${version}.jar`, signal, onProgress };
  await installOnce(jars, (empty) => fetchJars(empty, fetch));
  return { java, javaVersion, version, jars };
}

async function requireJava(java: string): Promise<string> {
  const output = await run(java, ["-version"]);
  const version = /version "([^"]+)"/.exec(output ?? "")?.[1];
  const major = Number.parseInt(version?.replace(/^1\./, "") ?? "", 10);
  if (version !== undefined && major >= OLDEST_JAVA) return version;
  const found = version === undefined
    ? java === "java" ? "there is none on PATH" : `there is no ${java} (JAVA_HOME)`
    : `it is ${version}`;
  throw new PipelineError(
    "stack_failed",
    `Cannot start Kafka: it needs Java ${OLDEST_JAVA} or later and ${found}; ` +
      `install one (for example openjdk-17-jre-headless or Temurin), ${OTHER_WAYS}`,
  );
}

/** What the program printed, on either stream; undefined when it cannot be run. */
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
  /** Absolute path. */
  readonly pom: string;
  /** Of Kafka; a pom that does not name it reads it from `kafka.version`. */
  readonly version: string;
  /** For messages. */
  readonly size: string;
  /** The file without which all of it is of no use. */
  readonly jar: string;
  /** More of Maven's command line. */
  readonly options?: readonly string[];
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/** @throws PipelineError when Maven is missing or cannot have the jars */
export async function fetchJars(folder: string, fetch: Fetch): Promise<void> {
  const { pom, version, size, jar: wanted, options: more = [], signal, onProgress } = fetch;
  onProgress(`Kafka ${version}: asking Maven for its jars (once, about ${size})`);
  const args = [
    "--batch-mode",
    "--strict-checksums",
    "--file",
    pom,
    "dependency:copy-dependencies",
    `-Dkafka.version=${version}`,
    `-DoutputDirectory=${folder}`,
    "-DincludeScope=runtime",
    ...more,
  ];
  // On Windows `mvn` is a batch file, which only the command interpreter can run.
  const [command, prefix] = Deno.build.os === "windows" ? ["cmd", ["/c", "mvn"]] : ["mvn", []];
  const options: Deno.CommandOptions = {
    args: [...prefix, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal,
  };
  let maven: Deno.ChildProcess;
  try {
    maven = new Deno.Command(command, options).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new PipelineError(
      "stack_failed",
      "Cannot start Kafka: Maven fetches its jars and there is none (looked for mvn on PATH); " +
        `install it (for example the package maven), ${OTHER_WAYS}`,
    );
  }
  const errors: string[] = [];
  let fetched = 0;
  let told = performance.now();
  const lines = maven.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  const unread = maven.stderr.pipeTo(new WritableStream());
  for await (const line of lines) {
    const jar = /Downloaded from .*\/([^/]+\.jar) \(([^ ]+ [kMG]?B)/.exec(line);
    if (jar !== null) fetched++;
    if (jar !== null && performance.now() - told >= TELL_EVERY_MS) {
      onProgress(`Kafka ${version}: ${fetched} files so far, ${jar[1]} (${jar[2]})`);
      told = performance.now();
    }
    if (line.startsWith("[ERROR]")) errors.push(line.slice("[ERROR]".length).trim());
  }
  await unread;
  const { success } = await maven.status;
  signal.throwIfAborted();
  if (success && await exists(join(folder, wanted))) return;
  throw new PipelineError(
    "stack_failed",
    `Cannot fetch Kafka ${version} with Maven: ${errors[0] ?? "it failed without saying why"}; ` +
      `check the network and ~/.m2/settings.xml (proxy, mirror), ${OTHER_WAYS}`,
    { retriable: true },
  );
}
