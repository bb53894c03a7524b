import { setTimeout } from "node:timers/promises";
import type { Queries } from "../queries/queries.ts";
import type { Follow } from "../queries/readings.ts";
import type { CustomerReading } from "../view/view.ts";

/** A poll waits this long for the polls of other customers, so that they share a query. */
const COLLECT_MS = 100;

/** Reads the newest readings of all watched customers. Each has one feed, so it asks once for a query. */
export class Tails {
  #waiting: Follow[] = [];
  #answer: Promise<Map<string, readonly CustomerReading[]>> | undefined;

  constructor(private readonly tail: Queries["tail"]) {}

  async after(id: string, after: number): Promise<readonly CustomerReading[]> {
    this.#waiting.push({ id, after });
    this.#answer ??= this.#ask();
    return (await this.#answer).get(id) ?? [];
  }

  async #ask(): Promise<Map<string, readonly CustomerReading[]>> {
    await setTimeout(COLLECT_MS);
    this.#answer = undefined;
    return Map.groupBy(await this.tail(this.#waiting.splice(0)), ({ id }) => id);
  }
}
