/** Folder `assets`: the files that the browser loads beside a page. A compiled program contains them as text imports. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import uplot from "uplot/dist/uPlot.min.css" with { type: "text" };
import chart from "./chart.css" with { type: "text" };
import client from "./client.js" with { type: "text" };
import icon from "./icon.svg" with { type: "text" };
import style from "./style.css" with { type: "text" };

/** `client.js` is generated from workers/monitor/client by `deno task assets`. */
const TEXTS = { "client.js": client, "style.css": style, "icon.svg": icon, "chart.css": uplot + chart };
const TYPES: Readonly<Record<string, string>> = {
  js: "text/javascript",
  css: "text/css",
  svg: "image/svg+xml",
};

export type AssetName = keyof typeof TEXTS;

interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly gzip: Uint8Array<ArrayBuffer>;
}

const paths = new Map<string, string>();
const assets = new Map<string, Asset>();

for (const [name, text] of Object.entries(TEXTS)) {
  const [stem = "", extension = ""] = name.split(".");
  const bytes = new TextEncoder().encode(text);
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  const path = `/assets/${stem}.${hash}.${extension}`;
  paths.set(name, path);
  assets.set(path, {
    type: `${TYPES[extension]}; charset=utf-8`,
    bytes,
    gzip: new Uint8Array(gzipSync(bytes, { level: 9 })),
  });
}

/** @returns the path of the file, with a hash of its content: another content has another address */
export function asset(name: AssetName): string {
  return paths.get(name) ?? "";
}

/**
 * @param path of the request
 * @param acceptEncoding the request's header `Accept-Encoding`
 * @returns undefined if there is no such file
 */
export function assetResponse(path: string, acceptEncoding = ""): Response | undefined {
  const found = assets.get(path);
  if (found === undefined) return undefined;
  const gzip = /\bgzip\b/.test(acceptEncoding);
  return new Response(gzip ? found.gzip : found.bytes, {
    headers: {
      "content-type": found.type,
      "cache-control": "private, max-age=31536000, immutable",
      "vary": "accept-encoding",
      ...(gzip ? { "content-encoding": "gzip" } : {}),
    },
  });
}
