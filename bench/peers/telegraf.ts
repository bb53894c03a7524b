import { join } from "node:path";
import type { Child } from "../../stack/process/child.ts";
import { digest, installOnce } from "../../stack/process/clone.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { cacheFolder, placeVariables, run, startBuilt } from "./cache.ts";
import type { Peer, PeerRun, PrepareOptions, Setting } from "./peer.ts";
import { ensureReferenceTable } from "./reference_table.ts";

const VERSION = "1.37.3";
const PROGRAM = "github.com/influxdata/telegraf/cmd/telegraf";
const TAGS = ["custom", "inputs.kafka_consumer", "outputs.postgresql", "parsers.json_v2"].join(",");

export const TELEGRAF_CONFIG = join(import.meta.dirname ?? ".", "telegraf", "telegraf.toml");

/** A batch is written when it is full or when `flushInterval` has passed. */
const BATCHES: Record<Setting, { readonly flushInterval: string; readonly records: number }> = {
  throughput: { flushInterval: "200ms", records: 10_000 },
  latency: { flushInterval: "10ms", records: 10_000 },
};
/** Room for one batch that is being written, one that waits, and others that are being read. */
const UNDELIVERED_BATCHES = 6;

export const telegraf: Peer = { title: `Telegraf ${VERSION}`, prepare, start };

export function telegrafVariables(options: PeerRun): Record<string, string> {
  const { flushInterval, records } = BATCHES[options.setting];
  const undelivered = records * UNDELIVERED_BATCHES;
  return {
    ...placeVariables("telegraf", options),
    PEER_FLUSH_INTERVAL: flushInterval,
    PEER_BATCH_RECORDS: String(records),
    PEER_UNDELIVERED_RECORDS: String(undelivered),
    PEER_BUFFER_RECORDS: String(undelivered + records),
  };
}

async function prepare({ onProgress = () => {} }: PrepareOptions = {}): Promise<void> {
  await installOnce(await folder(), async (empty) => {
    if (await run("go", ["version"]) === undefined) {
      throw new PipelineError(
        "stack_failed",
        "Cannot build Telegraf: it needs Go 1.25.7 or later and there is none on PATH; install it (https://go.dev/dl), " +
          "or measure without Telegraf",
      );
    }
    onProgress(`Building Telegraf ${VERSION} (only once; takes some minutes)`);
    // One compiler process at the lowest priority, so that it hardly disturbs other measurements.
    await run(
      "nice",
      ["-n", "19", "go", "install", "-ldflags=-s -w", "-tags", TAGS, `${PROGRAM}@v${VERSION}`],
      { GOBIN: empty, GOFLAGS: "-p=1", CGO_ENABLED: "0" },
    );
  });
}

async function start(options: PeerRun): Promise<Child> {
  await ensureReferenceTable(options.databaseUrl, options.table);
  return await startBuilt("telegraf", {
    command: join(await folder(), "telegraf"),
    // The configuration has numbers without quotes, which the strict mode does not expand.
    args: ["--config", TELEGRAF_CONFIG, "--non-strict-env-handling"],
    env: telegrafVariables(options),
    onLine: options.onLine ?? (() => {}),
  });
}

async function folder(): Promise<string> {
  return join(await cacheFolder(), `telegraf-${VERSION}-${digest(TAGS)}`);
}
