import { deepStrictEqual } from "node:assert";
import { formatCount, formatDuration } from "../../../workers/monitor/view/words.ts";

Deno.test("durations have their two largest units, and counts have narrow spaces", () => {
  const durations = [-1, 999, 12_000, 724_000, 3 * 3_600_000, 100_000_000].map(formatDuration);
  deepStrictEqual(durations, ["0 s", "0 s", "12 s", "12 min 4 s", "3 h", "1 d 3 h"]);
  deepStrictEqual([999, 1_000, "1234567", 12n].map(formatCount), [
    "999",
    "1\u202f000",
    "1\u202f234\u202f567",
    "12",
  ]);
});
