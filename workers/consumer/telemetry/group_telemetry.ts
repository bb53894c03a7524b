/** What is said of the consumer group. A coordinator that is being made, or moves, is no error for the first seconds. */
import { describeError, findInCauses } from "../../_shared/errors.ts";
import type { Telemetry } from "../../_shared/telemetry.ts";
import type { MonotonicClock } from "../health/progress.ts";

const PASSING = new Set<unknown>([
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR",
]);
/** With its first group a broker makes the topic of the groups' offsets, which takes a small machine this long. */
const GRACE_MS = 30_000;

/** @param outage moves the metric and writes the log line of a failure, and of its end */
export function groupTelemetry(
  log: Pick<Telemetry["log"], "debug">,
  outage: { readonly failed: (error: unknown) => void; readonly works: () => void },
  clock: MonotonicClock = () => performance.now(),
) {
  let since: number | undefined;
  return {
    groupFailed: (error: unknown) => {
      if (!PASSING.has(findInCauses(error, "apiId"))) return outage.failed(error);
      since ??= clock();
      if (clock() - since >= GRACE_MS) return outage.failed(error);
      log.debug("group.coordinator_not_ready", describeError(error));
    },
    groupWorks: () => {
      since = undefined;
      outage.works();
    },
  };
}
