/** What the Dockerfile needs is there, and its versions are the ones that the documents name. */
import { deepStrictEqual, match, ok } from "node:assert";
import { existsSync } from "node:fs";

const ROOT = new URL("../../", import.meta.url);

async function text(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

const dockerfile = await text("Dockerfile");

Deno.test("the Dockerfile copies what is there, and .dockerignore lets it through", async () => {
  const allowed = (await text(".dockerignore")).split("\n").filter((line) => line.startsWith("!"));
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)]
    .flatMap(([, paths = ""]) => paths.split(" "));
  deepStrictEqual(copied.map((path) => `!${path}`).sort(), allowed.sort());
  for (const path of copied) ok(existsSync(new URL(path, ROOT)), `COPY ${path}, which is not there`);
  const stages = [...dockerfile.matchAll(/ AS (\w+)$/gm)].map(([, name]) => name);
  for (const [, from] of dockerfile.matchAll(/COPY --from=(\w+)/g)) {
    ok(stages.includes(from), `no stage ${from}`);
  }
});

Deno.test("the images are built by the Deno that the README and CI name", async () => {
  const version = /^FROM .*denoland\/deno:(\S+) /m.exec(dockerfile)?.[1];
  match(await text(".ci/run"), new RegExp(`deno@${version}"`));
});
