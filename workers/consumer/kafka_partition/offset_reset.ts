import type { Divergence } from "../../_shared/kafka/fetcher.ts";
import type { LogRange } from "../../_shared/kafka/topic.ts";
import type { Offset } from "../../_shared/kafka/records.ts";

/** `fail`: hold the partition until an operator decides. `earliest`: record what is lost and continue. */
type OffsetResetPolicy = "fail" | "earliest";

type OffsetReset =
  /** The broker was behind for a moment. */
  | { readonly kind: "retry" }
  /** Records were deleted before they were read: a gap. */
  | { readonly kind: "skip"; readonly to: Offset }
  /** The log was truncated: read it as a new generation. */
  | { readonly kind: "restart"; readonly from: Offset }
  | { readonly kind: "hold"; readonly reason: string };

/**
 * Decides how to continue when the log does not hold the offset `at`, or was truncated before it. Offsets alone do not show every
 * truncation, because new records get the offsets of lost ones. So each fetch names the leader epoch of the last record that was
 * read, and the broker answers with a divergence if its records of that epoch end earlier (KIP-320, KIP-595).
 *
 * @param divergence undefined when the broker answered OFFSET_OUT_OF_RANGE
 */
export function decideOffsetReset(
  at: Offset,
  divergence: Divergence | undefined,
  { earliest, end }: LogRange,
  policy: OffsetResetPolicy,
): OffsetReset {
  if (divergence === undefined && at >= earliest && at <= end) return { kind: "retry" };
  const isCut = divergence !== undefined || at > end;
  if (policy === "earliest") {
    // A truncation does not show which records are new. Records that were stored before count as duplicates.
    return isCut ? { kind: "restart", from: earliest } : { kind: "skip", to: earliest };
  }
  const found = divergence === undefined
    ? `holds ${earliest} to ${end}`
    : `was cut below it and holds other records there now, up to ${end}` +
      ` (those of leader epoch ${divergence.epoch} end at ${divergence.endOffset})`;
  const next = "set KAFKA_OFFSET_RESET=earliest";
  const why = isCut
    ? `the log lost records that are stored; ${next} to read what it holds now`
    : `${earliest - at} records were deleted before they were read; ${next} to record the gap and go on`;
  return { kind: "hold", reason: `offset ${at} is stored, but the log ${found}: ${why}` };
}
