import { deepStrictEqual, throws } from "node:assert";
import { parseUpFlags } from "../../../stack/command_line.ts";

const readFile = () => "postgres://reader:secret@db/heartbeat_db\n";
const DATABASE_URL = "postgres://owner:secret@db/heartbeat_db";

Deno.test("up starts the producer and the monitor unless a flag says no", () => {
  const { producer, monitor } = parseUpFlags(["--no-monitor"], {}, readFile);
  deepStrictEqual([producer, monitor], [true, false]);
  deepStrictEqual(parseUpFlags([], {}, readFile).monitor, true);
});

Deno.test("up takes the reader's login, also from a file, and only with the user's own DATABASE_URL", () => {
  const file = { READER_DATABASE_URL_FILE: "/run/secrets/reader" };
  deepStrictEqual(parseUpFlags([], { DATABASE_URL, ...file }, readFile).ownReaderUrl, readFile().trim());
  throws(() => parseUpFlags([], file, readFile), /READER_DATABASE_URL: is set without DATABASE_URL/);
});
