import type { Follow } from "../queries/readings.ts";
import type { Queries } from "../queries/queries.ts";
import type { CustomerReading } from "../view/view.ts";

interface Waiting extends Follow {
  readonly answer: PromiseWithResolvers<readonly CustomerReading[]>;
}

/** A poll waits this long for the polls of other customers, so that they share a query. */
const COLLECT_MS = 100;

/** Reads the newest readings of all watched customers. Each has one feed, so it waits once. */
export class Tails {
  #waiting: Waiting[] = [];

  constructor(private readonly tail: Queries["tail"]) {}

  after(id: string, after: number): Promise<readonly CustomerReading[]> {
    const answer = Promise.withResolvers<readonly CustomerReading[]>();
    if (this.#waiting.push({ id, after, answer }) === 1) setTimeout(() => void this.#ask(), COLLECT_MS);
    return answer.promise;
  }

  async #ask(): Promise<void> {
    const waiting = this.#waiting.splice(0);
    try {
      const found = await this.tail(waiting.map(({ id, after }) => ({ id, after })));
      const readings = Map.groupBy(found, ({ id }) => id);
      for (const { id, answer } of waiting) answer.resolve(readings.get(id) ?? []);
    } catch (error) {
      for (const { answer } of waiting) answer.reject(error);
    }
  }
}
