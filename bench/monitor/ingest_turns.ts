import type { Stack } from "../../stack/mod.ts";
import { sayProgress as say } from "../../stack/output.ts";
import type { Resources } from "../../workers/_shared/lifecycle.ts";
import { consumeAll } from "../ingest/consumer.ts";
import { type Lab, publishLog, withDatabase } from "../ingest/lab.ts";
import { PARTITIONS } from "../latency/trial.ts";
import { Audience } from "./audience.ts";

export interface Turns {
  /** Readings per second at full speed, rollup included. One for each run. */
  readonly alone: readonly number[];
  readonly beside: readonly number[];
}

export interface TurnOptions {
  readonly records: number;
  readonly customers: number;
  readonly viewers: number;
  readonly runs: number;
  readonly resources: Resources;
  readonly signal: AbortSignal;
}

/** One consumer stores a log at full speed, by turns alone and beside a monitor with viewers. */
export async function ingestTurns(
  stack: Stack,
  { viewers, runs, signal, ...log }: TurnOptions,
): Promise<Turns> {
  const lab: Lab = { ...await publishLog(stack, { ...log, partitions: PARTITIONS }), csvPath: "" };
  const turns = { alone: [] as number[], beside: [] as number[] };
  // Kafka's just-in-time compiler would take a core from the first run.
  await withDatabase(stack, (database, databaseUrl) => consumeAll(lab, database, databaseUrl));
  for (let run = 1; run <= runs; run++) {
    for (const way of ["alone", "beside"] as const) {
      if (signal.aborted) return turns;
      const { rowsPerSecond } = await withDatabase(stack, async (database, databaseUrl) => {
        if (way === "alone") return await consumeAll(lab, database, databaseUrl);
        await using _audience = await Audience.start(
          { databaseUrl, superuserUrl: stack.superuserUrl },
          viewers,
        );
        return await consumeAll(lab, database, databaseUrl);
      });
      say(`${run}/${runs} ${way}: ${Math.round(rowsPerSecond)} rows/s`);
      turns[way].push(rowsPerSecond);
    }
  }
  return turns;
}
