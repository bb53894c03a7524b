/** Kafka's own measure of a producer, as `kafka-producer-perf-test.sh` runs it. */
import { join } from "node:path";
import { CLONE, digest, installOnce, STACK_FOLDER } from "../../stack/process/clone.ts";
import { fetchJars, installKafka } from "../../stack/kafka/kafka_jars.ts";
import type { Program } from "./lab.ts";

const POM = join(CLONE, "bench", "producer", "pom.xml");

/** What `kafka-run-class.sh` gives every tool, and the memory that this one gets. */
const JAVA_OPTIONS = [
  "-Xmx512M",
  "-server",
  "-XX:+UseG1GC",
  "-XX:MaxGCPauseMillis=20",
  "-XX:InitiatingHeapOccupancyPercent=35",
  "-XX:+ExplicitGCInvokesConcurrent",
  "-Djava.awt.headless=true",
];

export interface PerfTest {
  /** What comes before its flags. */
  readonly program: Program;
}

export async function installPerfTest(options: InstallOptions): Promise<PerfTest> {
  return { program: await installTool("org.apache.kafka.tools.ProducerPerformance", options) };
}

type InstallOptions = { readonly signal: AbortSignal; readonly onProgress: (text: string) => void };

/** One of Kafka's own command-line tools. @param tool its class */
export async function installTool(tool: string, options: InstallOptions): Promise<Program> {
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
  return { command: java, args: [...JAVA_OPTIONS, "-cp", classPath, tool] };
}

export interface PerfTestOptions {
  readonly bootstrapServers: string;
  readonly topic: string;
  readonly records: number;
  /** Of a record's value; its keys come on top. */
  readonly bytes: number;
  /** How many different keys; 0 for records without one, as the tool has it unless told. */
  readonly keys: number;
}

export function perfTestArgs({ bootstrapServers, topic, records, bytes, keys }: PerfTestOptions): string[] {
  return [
    ...["--bootstrap-server", bootstrapServers, "--topic", topic],
    ...["--num-records", String(records), "--record-size", String(bytes), "--throughput", "-1"],
    ...(keys === 0 ? [] : ["--key-distribution", "range", "--record-key-range", String(keys)]),
    ...["--command-property", "acks=all"],
  ];
}
