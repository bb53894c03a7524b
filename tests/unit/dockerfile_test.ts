import { deepStrictEqual, match, ok } from "node:assert";
import { existsSync } from "node:fs";

const ROOT = new URL("../../", import.meta.url);

async function text(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

const dockerfile = await text("Dockerfile");

Deno.test("the Dockerfile copies existing files, and .dockerignore allows exactly these", async () => {
  const allowed = (await text(".dockerignore")).split("\n").filter((line) => line.startsWith("!"));
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)]
    .flatMap(([, paths = ""]) => paths.split(" "));
  deepStrictEqual(copied.map((path) => `!${path}`).sort(), allowed.sort());
  for (const path of copied) ok(existsSync(new URL(path, ROOT)), `COPY ${path}, which does not exist`);
  const stages = [...dockerfile.matchAll(/ AS (\w+)$/gm)].map(([, name]) => name);
  for (const [, from] of dockerfile.matchAll(/COPY --from=(\w+)/g)) {
    ok(stages.includes(from), `no stage ${from}`);
  }
});

Deno.test("the Dockerfile and CI use the same version of Deno", async () => {
  const version = /^FROM .*denoland\/deno:(\S+) /m.exec(dockerfile)?.[1];
  match(await text(".ci/run"), new RegExp(`deno@${version}"`));
});
