/**
 * What to do when a log does not hold what we read, or not the offset where we go on. Never silent: a gap is recorded, or
 * we stop and say so.
 *
 * Each leader of a partition counts one epoch up and marks what it takes with it. An unclean election loses the end of the
 * log, and new records get the offsets of lost ones: to offsets alone it looks like a log that grew. So every fetch says of
 * which epoch the last record is that we read, and a broker whose records of that epoch end before our offset answers with
 * the place where they do (KIP-320, KIP-595).
 */
import type { Divergence } from "../../_shared/kafka/fetcher.ts";
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

/**
 * @param at the offset that a fetch named
 * @param divergence what the broker answered; undefined for OFFSET_OUT_OF_RANGE
 */
export function resolveLostPlace(
  at: Offset,
  divergence: Divergence | undefined,
  { earliest, end }: LogRange,
  policy: OffsetResetPolicy,
): Reset {
  if (divergence === undefined && at >= earliest && at <= end) return { kind: "retry" };
  const isCut = divergence !== undefined || at > end;
  // Where a log and what we read of it part is not known exactly, so it is read from its beginning: what is stored of it
  // counts as duplicates.
  if (policy === "earliest") {
    return isCut ? { kind: "restart", from: earliest } : { kind: "skip", to: earliest };
  }
  const is = divergence === undefined
    ? `holds ${earliest} to ${end}`
    : `was cut below it and holds other records there now, up to ${end}` +
      ` (those of leader epoch ${divergence.epoch} end at ${divergence.endOffset})`;
  const next = "set KAFKA_OFFSET_RESET=earliest";
  const why = isCut
    ? `the log lost records that are stored; ${next} to read what it holds now`
    : `${earliest - at} records were deleted before they were read; ${next} to record the gap and go on`;
  return { kind: "hold", reason: `offset ${at} is stored, but the log ${is}: ${why}` };
}
