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
    verdicts.map(({ pass, scenario, what, position, expected, found }) => [
      pass ? "PASS" : "FAIL",
      scenario,
      what,
      position,
      expected,
      pass ? "as expected" : found,
    ]),
  );
}

/** Repeats the failures, because the table is long, and says what to do about unread records. */
export function formatSummary(
  verdicts: readonly Verdict[],
  { runId, topic, timeout }: { runId: string; topic: string; timeout: string },
): string {
  const failed = verdicts.filter(({ pass }) => !pass);
  const scenarios = new Set(verdicts.map(({ scenario }) => scenario)).size;
  const records = `${verdicts.length} records in ${scenarios} scenarios, run ${runId}`;
  if (failed.length === 0) return `PASS: all ${records}`;
  const lines = [`FAIL: ${failed.length} of ${records}`];
  for (const { unread, scenario, what, position, expected, found } of failed) {
    if (!unread) lines.push(`  ${scenario}, ${what} (${position}): expected ${expected}, found ${found}`);
  }
  const unreadVerdicts = failed.filter(({ unread }) => unread);
  if (unreadVerdicts.length > 0) {
    lines.push(`  not read within ${timeout}: ${unreadVerdicts.length} records of topic ${topic}`);
    for (const line of [...new Set(unreadVerdicts.map(unreadLine))].sort()) lines.push(`    ${line}`);
    lines.push(
      "Start a consumer (deno task consume) with the same KAFKA_TOPIC and DATABASE_URL. If one is running, its /readyz",
      "gives the reasons why it is not ready. If it has a backlog, use a longer --timeout. The records stay in the",
      `topic, so a consumer stores them later. To check the same customers again, use --run ${runId}.`,
    );
  }
  return lines.join("\n");
}

function unreadLine({ position, found }: Verdict): string {
  return `partition ${position.split(":")[0]}: ${found}`;
}
