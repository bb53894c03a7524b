/** The tables for people: which scenarios there are, and how each record fared. */
import { formatTable } from "../_shared/table.ts";
import type { Verdict } from "./judge.ts";
import type { Scenario } from "./catalogue/scenario.ts";

export function formatList(scenarios: readonly Scenario[]): string {
  return formatTable(
    [{ title: "scenario" }, { title: "checks that" }],
    scenarios.map(({ name, promise }) => [name, promise]),
  );
}

export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const titles = ["verdict", "scenario", "record", "partition:offset", "expected", "found"];
  return formatTable(
    titles.map((title) => ({ title })),
    verdicts.map(({ pass, scenario, what, place, expected, found }) => [
      pass ? "PASS" : "FAIL",
      scenario,
      what,
      place,
      expected,
      pass ? "as expected" : found,
    ]),
  );
}

/** The failures once more, since the table is long, and what to do where that is known. */
export function formatSummary(
  verdicts: readonly Verdict[],
  { runId, topic, timeout }: { runId: string; topic: string; timeout: string },
): string {
  const failed = verdicts.filter(({ pass }) => !pass);
  const scenarios = new Set(verdicts.map(({ scenario }) => scenario)).size;
  const all = `${verdicts.length} records in ${scenarios} scenarios, run ${runId}`;
  if (failed.length === 0) return `PASS: all of ${all}`;
  const lines = [`FAIL: ${failed.length} of ${all}`];
  for (const { unread, scenario, what, place, expected, found } of failed) {
    if (!unread) lines.push(`  ${scenario}, ${what} (${place}): expected ${expected}, found ${found}`);
  }
  const unread = failed.filter((verdict) => verdict.unread);
  if (unread.length > 0) {
    lines.push(`  not read within ${timeout}: ${unread.length} records of topic ${topic}`);
    for (const line of [...new Set(unread.map(unreadLine))].sort()) lines.push(`    ${line}`);
    lines.push(
      "Start a consumer (deno task consume) with this KAFKA_TOPIC and DATABASE_URL. If one runs, its /readyz says what",
      "it waits for; behind a backlog, --timeout gives it more time. The records stay in the topic, and so they are",
      `stored later; --run ${runId} looks at the same customers again.`,
    );
  }
  return lines.join("\n");
}

/** A line for each partition that is behind, and why. */
function unreadLine({ place, found }: Verdict): string {
  return `partition ${place.split(":")[0]}: ${found}`;
}
