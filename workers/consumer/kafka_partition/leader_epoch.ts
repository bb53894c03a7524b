/**
 * Whether a log is still the one we read. Each leader of a partition counts one epoch up and marks what it takes with
 * it. An unclean election loses the end of the log, and new records get the offsets of lost ones: to offsets alone it
 * looks like a log that grew. So every fetch says of which epoch the last record is that we read, and a broker whose
 * records of that epoch end before our offset answers with the place where they do (KIP-320, KIP-595).
 */
import type { LogRange, TopicDescription } from "../../_shared/kafka/topic.ts";
import type { Divergence } from "../../_shared/kafka/fetcher.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { OffsetResetPolicy, Reset } from "./offset_reset.ts";

/** The protocol's "not known": nothing is compared then. */
export const UNKNOWN_EPOCH = -1;

/**
 * The epoch in which the broker must lead the partition to answer a fetch. One that was replaced and does not know it
 * yet must not answer: compared with its old log, what we read from its successor would look lost.
 */
export function requiredEpoch(topic: TopicDescription, partition: number, lastEpoch: number): number {
  const known = topic.leaderEpochs[partition] ?? UNKNOWN_EPOCH;
  return known === UNKNOWN_EPOCH ? UNKNOWN_EPOCH : Math.max(known, lastEpoch);
}

/**
 * Where the log and what we read part is not known exactly (the records we read of earlier epochs may end before the
 * broker's), so that the new generation begins where the log does: what is stored of it counts as duplicates.
 *
 * @param at the offset that a fetch named
 */
export function resolveDivergence(
  at: Offset,
  { epoch, endOffset }: Divergence,
  log: LogRange,
  policy: OffsetResetPolicy,
): Reset {
  if (policy === "earliest") return { kind: "restart", from: log.earliest };
  return {
    kind: "hold",
    reason:
      `offset ${at} is stored, but the log was cut below it and holds other records there now, up to ${log.end}` +
      ` (those of leader epoch ${epoch} end at ${endOffset}): the log lost records that are stored; ` +
      "set KAFKA_OFFSET_RESET=earliest to read what it holds now",
  };
}
