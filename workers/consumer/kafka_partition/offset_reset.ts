/**
 * Decides what to do when a log does not hold the next offset, or holds other records before it than the consumer read.
 * Never silent: a gap is recorded, or the partition is held.
 *
 * Each leader of a partition has a new epoch, and marks its records with it. An unclean election loses the end of the log, and
 * new records get the offsets of lost ones: by offsets alone, the log seems to have grown. So every fetch names the epoch of
 * the last record that was read. If a broker's records of that epoch end earlier, it answers where they do (KIP-320, KIP-595).
 */
import type { Divergence } from "../../_shared/kafka/fetcher.ts";
import type { LogRange } from "../../_shared/kafka/topic.ts";
import type { Offset } from "../../_shared/kafka/records.ts";

/** `fail`: hold the partition until an operator decides. `earliest`: account for the loss and go on. */
export type OffsetResetPolicy = "fail" | "earliest";

export type OffsetReset =
  /** The broker was behind for a moment. */
  | { readonly kind: "retry" }
  /** Retention or DeleteRecords removed unread records: [at, earliest) is a gap. */
  | { readonly kind: "skip"; readonly to: Offset }
  /** The log was cut below `at`, and holds other records there now: it is read as a new generation. */
  | { readonly kind: "restart"; readonly from: Offset }
  | { readonly kind: "hold"; readonly reason: string };

/**
 * @param at the offset that a fetch named
 * @param divergence what the broker answered; undefined for OFFSET_OUT_OF_RANGE
 */
export function decideOffsetReset(
  at: Offset,
  divergence: Divergence | undefined,
  { earliest, end }: LogRange,
  policy: OffsetResetPolicy,
): OffsetReset {
  if (divergence === undefined && at >= earliest && at <= end) return { kind: "retry" };
  const isCut = divergence !== undefined || at > end;
  // It is not known exactly which records are new, so the log is read from its beginning: stored ones count as duplicates.
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
