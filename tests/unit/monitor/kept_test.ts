import { deepStrictEqual, strictEqual } from "node:assert";
import { kept } from "../../../workers/monitor/queries/snapshot.ts";

function ask() {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let asked = 0;
  const answer = kept(60_000, () => (asked++, promise));
  return { answer, resolve, reject, asked: () => asked };
}

Deno.test("callers during the first question wait for its answer, and later ones get it without a question", async () => {
  const { answer, resolve, asked } = ask();
  const both = Promise.all([answer(), answer()]);
  resolve(7);
  deepStrictEqual(await both, [7, 7]);
  strictEqual(await answer(), 7);
  strictEqual(asked(), 1);
});

Deno.test("after a failure there is no answer until the next question", async () => {
  const { answer, reject, asked } = ask();
  const both = Promise.all([answer(), answer()]);
  reject(new TypeError("the table is locked"));
  deepStrictEqual(await both, [undefined, undefined]);
  strictEqual(await answer(), undefined);
  strictEqual(asked(), 1);
});

Deno.test("while a later question runs, callers get the last answer", async () => {
  const answers = [1, 2].map(() => Promise.withResolvers<number>());
  let asked = 0;
  const answer = kept(0, () => answers[asked++]?.promise ?? Promise.reject(new TypeError("asked too often")));
  answers[0]?.resolve(1);
  strictEqual(await answer(), 1);
  strictEqual(await answer(), 1);
  answers[1]?.resolve(2);
  await answers[1]?.promise;
  deepStrictEqual(asked, 2);
});
