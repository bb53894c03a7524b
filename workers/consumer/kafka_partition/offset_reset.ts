/** What to do when a stored offset is not in the log any more. Never silent: a gap is recorded, or we stop and say so. */
import type { LogRange } from "../../_shared/kafka/topic.ts";
import type { Offset } from "../../_shared/kafka/records.ts";

/** `fail`: hold the partition until an operator decides. `earliest`: account for the loss and go on. */
export type OffsetResetPolicy = "fail" | "earliest";

export type Reset =
  /** The broker was behind for a moment. */
  | { readonly kind: "retry" }
  /** Retention or DeleteRecords took what we had not read: [at, earliest) is a gap. */
  | { readonly kind: "skip"; readonly to: Offset }
  /** The log was cut below what we had read: what it holds now are other records, so it is read as a new generation. */
  | { readonly kind: "restart"; readonly from: Offset }
  | { readonly kind: "hold"; readonly reason: string };

/** @param at the offset at which a fetch was answered with OFFSET_OUT_OF_RANGE */
export function resolveOutOfRange(at: Offset, log: LogRange, policy: OffsetResetPolicy): Reset {
  if (at >= log.earliest && at <= log.end) return { kind: "retry" };
  const is = `offset ${at} is stored, but the log holds ${log.earliest} to ${log.end}`;
  const next = "set KAFKA_OFFSET_RESET=earliest";
  if (at < log.earliest) {
    if (policy === "earliest") return { kind: "skip", to: log.earliest };
    const lost = `${log.earliest - at} records were deleted before they were read`;
    return { kind: "hold", reason: `${is}: ${lost}; ${next} to record the gap and go on` };
  }
  if (policy === "earliest") return { kind: "restart", from: log.earliest };
  return {
    kind: "hold",
    reason: `${is}: the log lost records that are stored; ${next} to read what it holds now`,
  };
}
