import type { Queries } from "../queries/queries.ts";
import type { CustomerReading } from "../view/view.ts";

interface Waiting {
  readonly id: string;
  readonly after: number;
  readonly answer: PromiseWithResolvers<readonly CustomerReading[]>;
}

/** A poll waits this long for the polls of other customers, so that they share a query. */
const COLLECT_MS = 100;

/** Reads the newest readings of all watched customers. */
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
      const oldest = new Map<string, number>();
      for (const { id, after } of waiting) oldest.set(id, Math.min(after, oldest.get(id) ?? Infinity));
      const found = await this.tail([...oldest].map(([id, after]) => ({ id, after })));
      const readings = Map.groupBy(found, ({ id }) => id);
      for (const { id, after, answer } of waiting) {
        answer.resolve((readings.get(id) ?? []).filter(({ ts }) => ts > after));
      }
    } catch (error) {
      for (const { answer } of waiting) answer.reject(error);
    }
  }
}
