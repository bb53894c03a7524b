import { raw } from "hono/html";
import type { Child } from "hono/jsx";
import { asset } from "../assets/assets.ts";

/** Unlike the other pages, it has no navigation and no script, because the viewer is not signed in yet. */
function Page(
  { title = "Sign in", next, children }: {
    readonly title?: string;
    readonly next?: string;
    readonly children: Child;
  },
) {
  return (
    <>
      {raw("<!doctype html>")}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          {next && <meta http-equiv="refresh" content={`0; url=${next}`} />}
          <title>{title} · Heartbeat pipeline</title>
          <link rel="icon" href={asset("icon.svg")} type="image/svg+xml" />
          <link rel="stylesheet" href={asset("style.css")} />
        </head>
        <body>
          <main>
            <h1>Heartbeat pipeline</h1>
            {children}
          </main>
        </body>
      </html>
    </>
  );
}

/** @param props.action the path that receives the password */
export function LoginPage(
  { action, problem }: { readonly action: string; readonly problem: string | undefined },
) {
  return (
    <Page>
      {problem && <p class="state trouble" role="alert">{problem}</p>}
      <form method="post" action={action}>
        <label for="password">Password</label>
        <input
          id="password"
          name="password"
          type="password"
          autocomplete="current-password"
          required
          autofocus
        />
        <button type="submit">Sign in</button>
      </form>
    </Page>
  );
}

/** Opens the login without a click. */
export function OpeningPage({ login }: { readonly login: string }) {
  return (
    <Page next={login}>
      <a class="button" href={login}>Open the monitor</a>
    </Page>
  );
}

/** Why the monitor shows nothing, and what to do. */
export function RefusalPage({ text, isExpected }: { readonly text: string; readonly isExpected: boolean }) {
  return (
    <Page title={isExpected ? "Signed out" : "Refused"}>
      <p class={isExpected ? "state" : "state trouble"}>{text}</p>
    </Page>
  );
}
