import { join } from "node:path";
import type { WorkerProcess } from "../../lab/worker_process.ts";

const MODULE = new URL("./preload/shifted_clock.ts", import.meta.url);

/** Controls the wall clock of one worker. */
export class WrongClock implements AsyncDisposable {
  /** The preload module to start the worker with. */
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

  async set(worker: WorkerProcess, shiftMs: number): Promise<void> {
    await Deno.writeTextFile(this.#control, String(shiftMs));
    worker.kill("SIGUSR2");
    await worker.untilLogged("test.clock", (line) => line.shiftMs === shiftMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}
