/** Asks a program on this machine by HTTP. */
import { get } from "node:http";

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Not by fetch(): with HTTP_PROXY set, that asks the proxy, which has another loopback. */
export function askLoopback(url: string, withinMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get(url, { signal: AbortSignal.timeout(withinMs), agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => text += part);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}
