/** How a fault test ends: nothing lost, nothing twice, in the judge's eyes and in those of `deno task reconcile`. */
import { strictEqual } from "node:assert";
import { type Intended, judge, type JudgeOptions } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";

/** A session that is over soon, so that a dead owner's successor need not wait long; milliseconds. */
export const QUICK_TAKEOVER = { KAFKA_SESSION_TIMEOUT_MS: "6000" };

/**
 * Waits until everything is read. Then the sets of ids are compared with what was produced, the minutes with the rows,
 * and the ledger with the tables and with Kafka, by a program that shares no code with the consumer.
 *
 * @param sent every record that was acknowledged on this place's topic
 */
export async function accountFor(
  place: Place,
  sent: readonly Sent<Intended>[],
  options: JudgeOptions = {},
): Promise<void> {
  await place.caughtUp();
  await judge(place, sent, options);
  const { code, output } = await place.run("reconcile");
  strictEqual(code, 0, output);
}
