import { deepStrictEqual } from "node:assert";
import { mostUrgent } from "../../../workers/monitor/queries/attention.ts";
import type { Attention } from "../../../workers/monitor/view/view.ts";

const entry = (customerId: string, kind: Attention["kind"], since: number, lately?: number): Attention => {
  const others = lately !== undefined ? { lately } : { latestAt: kind === "silent" ? since : 10 };
  return { customerId, kind, since, heartRate: 70, ...others };
};
const ids = (...all: Attention[]) => mostUrgent(all).map(({ customerId }) => customerId);

Deno.test("those beyond a limit come first, then the silent ones, the longest first, then those who were lately beyond it", () => {
  deepStrictEqual(
    ids(
      entry("silent", "silent", 1),
      entry("silent-longer", "silent", 0),
      entry("scenario-1", "high", 0),
      entry("1000000000000001", "high", 0),
      entry("lately", "low", 2, 12),
      entry("lately-more", "low", 5, 40),
      entry("high", "high", 9),
      entry("low-longer", "low", 8),
    ),
    [
      "low-longer",
      "high",
      "1000000000000001",
      "silent-longer",
      "silent",
      "lately-more",
      "lately",
      "scenario-1",
    ],
  );
});

Deno.test("an episode lasts up to its latest reading, so one old reading does not come before an episode that goes on", () => {
  const single: Attention = { ...entry("single", "high", 1), latestAt: 1 };
  deepStrictEqual(ids(single, entry("goes-on", "low", 5)), ["goes-on", "single"]);
});

Deno.test("a customer is listed once, in the most urgent group, and the list has at most 50 rows and 20 of lately", () => {
  const both = [
    entry("a", "silent", 0),
    entry("a", "low", 0, 3),
    entry("b", "high", 5),
    entry("b", "high", 1, 9),
  ];
  deepStrictEqual(mostUrgent(both).map(({ customerId, kind, lately }) => [customerId, kind, lately]), [
    ["b", "high", undefined],
    ["a", "silent", undefined],
  ]);
  const many = (lately?: number) =>
    Array.from({ length: 60 }, (_, at) => entry(`${lately}-${at}`, "high", at, lately));
  deepStrictEqual(ids(...many(), ...many(3)).length, 70);
});
