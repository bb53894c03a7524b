/** Folder `assets`: the files that the browser loads beside a page. A compiled program contains them as text imports. */
import { createHash } from "node:crypto";
import uplot from "uplot/dist/uPlot.min.css" with { type: "text" };
import chart from "./chart.css" with { type: "text" };
import client from "./client.js" with { type: "text" };
import icon from "./icon.svg" with { type: "text" };
import style from "./style.css" with { type: "text" };

/** `client.js` is generated from workers/monitor/client by `deno task assets`. */
const ASSETS = {
  "client.js": { type: "text/javascript", text: client },
  "style.css": { type: "text/css", text: style },
  "chart.css": { type: "text/css", text: uplot + chart },
  "icon.svg": { type: "image/svg+xml", text: icon },
};
const assetsByPath = new Map(
  Object.entries(ASSETS).map(([name, { text, type }]) => {
    const hash = createHash("sha256").update(text).digest("hex").slice(0, 12);
    return [`/assets/${hash}/${name}`, { name, text, type }];
  }),
);

/** @returns the path of the file, with a hash of its content: another content has another address */
export function asset(name: keyof typeof ASSETS): string {
  return [...assetsByPath].find(([, found]) => found.name === name)?.[0] ?? "";
}

/** @returns undefined if there is no such file */
export function assetResponse(path: string): Response | undefined {
  const found = assetsByPath.get(path);
  return found && new Response(found.text, {
    headers: {
      "content-type": `${found.type}; charset=utf-8`,
      "cache-control": "private, max-age=31536000, immutable",
    },
  });
}
