/** The wall clock of one worker, under a test's control. */
import { join } from "node:path";
import type { WorkerProcess } from "../../lab/worker_process.ts";

const MODULE = new URL("./preload/shifted_clock.ts", import.meta.url);

export class WrongClock implements AsyncDisposable {
  /** For the worker's start. */
  readonly preload: string;
  readonly #folder: string;
  readonly #control: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#control = join(folder, "shift_ms");
    this.preload = join(folder, "preload.ts");
  }

  static async make(): Promise<WrongClock> {
    const clock = new WrongClock(await Deno.makeTempDir({ prefix: "heartbeat-clock-" }));
    await Deno.writeTextFile(clock.#control, "0");
    const code = `import { shiftClock } from ${JSON.stringify(MODULE.href)};\nshiftClock(${
      JSON.stringify(clock.#control)
    });\n`;
    await Deno.writeTextFile(clock.preload, code);
    return clock;
  }

  /** From now on its clock is wrong by so many milliseconds. */
  async set(worker: WorkerProcess, shiftMs: number): Promise<void> {
    await Deno.writeTextFile(this.#control, String(shiftMs));
    worker.kill("SIGUSR2");
    await worker.said("test.clock", (line) => line.shiftMs === shiftMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}
