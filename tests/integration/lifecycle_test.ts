/** How a process ends that cannot finish. */
import { deepStrictEqual, strictEqual } from "node:assert";

Deno.test("a program that gave up and then hangs ends with 1, and says why before it says that it hung", async () => {
  const program = new URL("../support/hung_program.ts", import.meta.url);
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--allow-env", program.pathname],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  strictEqual(code, 1);
  deepStrictEqual(new TextDecoder().decode(stderr).trim().split("\n"), [
    "Cannot go on: the server of *** says nothing",
    "Stopped without finishing after 10 s; still open: the loop that hangs",
  ]);
});
