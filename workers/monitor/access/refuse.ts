import type { Context } from "hono";
import { RefusalPage } from "../pages/login.tsx";

export function refuse(
  c: Context,
  status: 200 | 401 | 403 | 405,
  text: string,
): Response | Promise<Response> {
  return isForPerson(c)
    ? c.html(RefusalPage({ text, isExpected: status === 200 }), status)
    : c.text(`${text}\n`, status);
}

/** A person gets a page, a script the text. */
export function isForPerson(c: Context): boolean {
  return c.req.header("accept")?.includes("text/html") === true;
}
