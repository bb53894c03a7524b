import { ok, strictEqual } from "node:assert";
import { linkTo } from "../../../chaos/arena/foreign_arena.ts";

const URL_OF_A_SERVER = "postgres://user:secret@db.example:5432/heartbeat_chaos";

Deno.test("linkTo() adds a link only to a database without TLS, because the certificate would not match the address of the link", async () => {
  for (const mode of ["require", "verify-ca", "verify-full"]) {
    strictEqual(await linkTo(`${URL_OF_A_SERVER}?sslmode=${mode}`, {}, Math.random), undefined, mode);
  }
  for (const search of ["", "?sslmode=disable"]) {
    await using link = await linkTo(URL_OF_A_SERVER + search, {}, Math.random);
    ok(link?.through(URL_OF_A_SERVER).includes("@127.0.0.1:"), search);
  }
});
