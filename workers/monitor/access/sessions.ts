import { createHash, randomBytes } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";

const MAX_SESSIONS = 1_000;
const MAX_IDLE_MS = 12 * 3600_000;
const MAX_AGE_MS = 7 * 24 * 3600_000;

interface Session {
  readonly openedAt: number;
  usedAt: number;
  /** Responses that are open. */
  readonly responses: Set<HttpBindings["outgoing"]>;
}

/** @returns 256 random bits, in characters that need no encoding in a URL or a cookie */
export function randomToken(): string {
  return randomBytes(32).toString("base64url");
}

/** Keeps the sessions of the viewers in memory. A restart of the monitor ends them. */
export class Sessions {
  /** The least recently used first. The key is a hash of the id, so the time of a look-up tells nothing about the ids. */
  readonly #sessions = new Map<string, Session>();

  constructor(
    readonly cookie: () => { readonly port: number; readonly secure: boolean },
    readonly now: () => number,
  ) {}

  open(c: Context): void {
    const id = randomToken();
    this.#sessions.set(hash(id), { openedAt: this.now(), usedAt: this.now(), responses: new Set() });
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) this.#end(oldest);
    setCookie(c, this.#name, id, this.#options);
  }

  /**
   * Renews the session of a request. A session does not become idle while a response is open, because a screen on a wall has
   * an open event stream and sends no other request.
   *
   * @returns whether the request has a session
   */
  use(c: Context): boolean {
    const key = this.#keyOf(c);
    const session = this.#sessions.get(key);
    if (session === undefined) return false;
    const now = this.now();
    const isIdle = session.responses.size === 0 && now - session.usedAt >= MAX_IDLE_MS;
    if (isIdle || now - session.openedAt >= MAX_AGE_MS) {
      this.#end(key);
      return false;
    }
    session.usedAt = now;
    // Moves it to the end of the map: the first one is the least recently used.
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    const { outgoing } = c.env as HttpBindings;
    session.responses.add(outgoing);
    outgoing.once("close", () => {
      session.usedAt = this.now();
      session.responses.delete(outgoing);
    });
    return true;
  }

  /** Also closes the live streams of the session. */
  end(c: Context): void {
    this.#end(this.#keyOf(c));
    deleteCookie(c, this.#name, this.#options);
  }

  #end(key: string): void {
    for (const response of this.#sessions.get(key)?.responses ?? []) response.destroy();
    this.#sessions.delete(key);
  }

  #keyOf(c: Context): string {
    return hash(getCookie(c, this.#name) ?? "");
  }

  /** Cookies do not distinguish ports: two monitors on one host must not overwrite each other's cookie. */
  get #name(): string {
    const { port, secure } = this.cookie();
    return `${secure ? "__Host-" : ""}heartbeat_session_${port}`;
  }

  get #options() {
    return { httpOnly: true, sameSite: "Strict", path: "/", secure: this.cookie().secure } as const;
  }
}

function hash(id: string): string {
  return createHash("sha256").update(id).digest("base64url");
}
