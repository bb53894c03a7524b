import type { HttpBindings } from "@hono/node-server";
import type { Context, Hono } from "hono";
import { LoginPage } from "../pages/login.tsx";
import { Attempts } from "./attempts.ts";
import { refuse } from "./refuse.ts";
import { isSame } from "./same_text.ts";
import type { Sessions } from "./sessions.ts";
import type { AccessSettings } from "./settings.ts";

export const OPEN_ADDRESS =
  "Open the address that the terminal shows. If you do not see the terminal, its owner can set a password for you: MONITOR_PASSWORD.";

export interface LoginOptions extends Pick<AccessSettings, "password" | "proxies"> {
  readonly origin: () => string;
  readonly sessions: Sessions;
  /** Is called after a wrong password. The limit of attempts also limits these calls. */
  readonly onWrongPassword: (client: string) => void;
  readonly now: () => number;
}

/** Without a password, /login only says how to get in. */
export function mountLogin(
  app: Hono,
  { origin, password, proxies, sessions, onWrongPassword, now }: LoginOptions,
): void {
  const attempts = new Attempts(now);
  const show = (c: Context, status: 200 | 401 | 429, problem?: string) =>
    c.html(
      LoginPage({ action: `/login?to=${encodeURIComponent(c.req.query("to") ?? "/")}`, problem }),
      status,
    );
  /** The page that the viewer wanted to open. An address of another site is ignored. */
  const target = (c: Context) => {
    const url = URL.parse(c.req.query("to") ?? "/", origin());
    return url?.origin === origin() ? url.href : `${origin()}/`;
  };
  app.get("/login", (c) => {
    if (sessions.use(c)) return c.redirect(target(c), 303);
    return password === undefined ? refuse(c, 401, OPEN_ADDRESS) : show(c, 200);
  });
  if (password !== undefined) {
    app.post("/login", async (c) => {
      const given = new URLSearchParams(await c.req.text()).get("password") ?? "";
      const peer = (c.env as HttpBindings).incoming.socket.remoteAddress ?? "";
      const client = proxies?.clientOf(peer, c.req.header("x-forwarded-for") ?? "") ?? peer;
      const wait = attempts.waitSeconds(client);
      if (wait > 0) {
        c.header("retry-after", String(wait));
        return show(c, 429, `Too many wrong passwords. Try again in ${Math.ceil(wait / 60)} min.`);
      }
      if (!isSame(given, password)) {
        attempts.failed(client);
        onWrongPassword(client);
        return show(c, 401, "The password is wrong.");
      }
      sessions.open(c);
      return c.redirect(target(c), 303);
    });
  }
  app.post("/logout", (c) => {
    sessions.end(c);
    return password === undefined
      ? refuse(c, 200, `You are signed out. ${OPEN_ADDRESS}`)
      : c.redirect("/login", 303);
  });
}
