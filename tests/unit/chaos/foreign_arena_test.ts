import { ok, strictEqual } from "node:assert";
import { linkTo } from "../../../chaos/arena/foreign_arena.ts";

const URL_OF_A_SERVER = "postgres://user:secret@db.example:5432/heartbeat_chaos";

Deno.test("chaos puts its link before a database without TLS only: with TLS the link's address is not the certificate's", async () => {
  for (const mode of ["require", "verify-ca", "verify-full"]) {
    strictEqual(await linkTo(`${URL_OF_A_SERVER}?sslmode=${mode}`, {}, Math.random), undefined, mode);
  }
  for (const search of ["", "?sslmode=disable"]) {
    await using link = await linkTo(URL_OF_A_SERVER + search, {}, Math.random);
    ok(link?.through(URL_OF_A_SERVER).includes("@127.0.0.1:"), search);
  }
});
