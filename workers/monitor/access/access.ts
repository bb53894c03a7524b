/** Folder `access`: decides who may see the monitor page: host, peer, one-time address, password, session. */
import type { HttpBindings } from "@hono/node-server";
import type { Context, Hono, MiddlewareHandler } from "hono";
import { OpeningPage } from "../pages/login.tsx";
import { type LoginOptions, mountLogin, OPEN_ADDRESS } from "./login.ts";
import { isForPerson, refuse } from "./refuse.ts";
import { isSame } from "./same_text.ts";
import { randomToken, Sessions } from "./sessions.ts";
import type { AccessSettings } from "./settings.ts";

export interface AccessOptions extends AccessSettings, Pick<LoginOptions, "onWrongPassword"> {
  /** The port on which the server listens. */
  readonly port: () => number;
  /** Is called with the next address after a one-time address was used. */
  readonly onAddress: (url: string) => void;
  readonly now?: () => number;
}

export type Access = ReturnType<typeof createAccess>;

export function createAccess(options: AccessOptions) {
  const { originAt, password, proxies, onlyProxies, port, onAddress, now = Date.now } = options;
  const origin = () => originAt(port());
  const sessions = new Sessions(() => ({ port: port(), secure: origin().startsWith("https:") }), now);
  const usesToken = password === undefined;
  let token = randomToken();
  /** The address to open now. */
  const address = () => usesToken ? `${origin()}/?token=${token}` : `${origin()}/`;

  /** Refuses requests that may not pass, and exchanges the token of a one-time address for a cookie. */
  const guard: MiddlewareHandler = async (c, next) => {
    const peer = (c.env as HttpBindings).incoming.socket.remoteAddress ?? "";
    if (onlyProxies && !proxies?.has(peer)) {
      return refuse(c, 403, "This server accepts requests only from its proxy (MONITOR_TRUSTED_PROXIES).");
    }
    const refusal = refusalOf(c, origin());
    if (refusal !== undefined) return refuse(c, ...refusal);
    if (/^\/(assets\/|login$|logout$)/.test(c.req.path)) return await next();
    const given = usesToken ? c.req.query("token") : undefined;
    if (!sessions.use(c)) {
      if (given === undefined) return askForLogin(c, usesToken);
      if (!isSame(given, token)) return refuse(c, 403, `This address was already used. ${OPEN_ADDRESS}`);
      // A program that only checks a link must not use up the token.
      if (c.req.method === "HEAD") return c.body(null);
      token = randomToken();
      sessions.open(c);
      onAddress(address());
    }
    // Takes the token out of the address bar.
    if (given !== undefined) return c.redirect(`${origin()}${pathOf(c)}`, 303);
    await next();
    // Hono answers HEAD by the route for GET and drops the body, but a live stream has to learn that it ended.
    if (c.req.method === "HEAD") await c.res.body?.cancel();
  };
  /** Adds /login and /logout. */
  const mount = (app: Hono) => mountLogin(app, { ...options, now, origin, sessions });
  return { guard, mount, address };
}

function refusalOf(c: Context, origin: string): readonly [status: 403 | 405, text: string] | undefined {
  // DNS rebinding: a page whose host name now leads to this machine could read the answer.
  const isHost = c.req.header("host")?.toLowerCase() === new URL(origin).host;
  if (!isHost) return [403, `Wrong host name. ${OPEN_ADDRESS}`];
  if (c.req.method !== "POST") return undefined;
  if (!/^\/log(in|out)$/.test(c.req.path)) return [405, "only GET and HEAD are supported"];
  return c.req.header("origin") === origin ? undefined : [403, "This form comes from another page."];
}

function askForLogin(c: Context, usesToken: boolean): Response | Promise<Response> {
  const login = `/login?to=${encodeURIComponent(pathOf(c))}`;
  const isPage = isForPerson(c);
  // After a click on a link of another site, browsers send no SameSite=Strict cookie. They send it from this page to /login.
  if (isPage && c.req.header("sec-fetch-site") === "cross-site") return c.html(OpeningPage({ login }));
  if (isPage && !usesToken) return c.redirect(login, 303);
  return refuse(c, 401, usesToken ? OPEN_ADDRESS : "Sign in first.");
}

function pathOf(c: Context): string {
  const url = new URL(c.req.url);
  url.searchParams.delete("token");
  return url.pathname + url.search;
}
