const WINDOW_MS = 15 * 60_000;
const MAX_PER_CLIENT = 10;
/** Of all clients together, who may be one attacker with many addresses. It also bounds the memory. */
const MAX_TOTAL = 100;

/** Counts wrong passwords, and says how long a client has to wait before its next attempt. */
export class Attempts {
  /** Oldest first. */
  readonly #failures: { readonly client: string; readonly at: number }[] = [];

  constructor(readonly now: () => number) {}

  /** @returns seconds, 0 if the client may try now */
  waitSeconds(client: string): number {
    const now = this.now();
    while ((this.#failures[0]?.at ?? Infinity) <= now - WINDOW_MS) this.#failures.shift();
    const own = this.#failures.filter((failure) => failure.client === client);
    const oldest = own.length >= MAX_PER_CLIENT ? own[0] : undefined;
    const blocking = this.#failures.length >= MAX_TOTAL ? this.#failures[0] : undefined;
    const until = Math.max(oldest?.at ?? -Infinity, blocking?.at ?? -Infinity) + WINDOW_MS;
    return Math.max(0, Math.ceil((until - now) / 1000));
  }

  failed(client: string): void {
    this.#failures.push({ client, at: this.now() });
  }
}
