/** The ordered list of migrations. Static text imports, so that a compiled program carries them. */
import createLedgerAndHeartbeats from "./0001_create_ledger_and_heartbeats.sql" with { type: "text" };
import partitionHeartbeats from "./0002_partition_heartbeats.sql" with { type: "text" };
import addMinuteRollup from "./0003_add_minute_rollup.sql" with { type: "text" };
import addLedgerPositions from "./0004_add_ledger_positions.sql" with { type: "text" };
import addLeaderEpoch from "./0005_add_leader_epoch.sql" with { type: "text" };
import indexTsByBlockRange from "./0006_index_ts_by_block_range.sql" with { type: "text" };
import lockPartitionsBriefly from "./0007_lock_partitions_briefly.sql" with { type: "text" };
import summarizeBlockRanges from "./0008_summarize_block_ranges.sql" with { type: "text" };
import emptyOldRejects from "./0009_empty_old_rejects.sql" with { type: "text" };
import dropInPieces from "./0010_drop_in_pieces.sql" with { type: "text" };
import reopenDroppedDays from "./0011_reopen_dropped_days.sql" with { type: "text" };
import fenceSchemaGeneration from "./0012_fence_schema_generation.sql" with { type: "text" };

export interface Migration {
  /** 1, 2, 3 ... without a hole. */
  readonly version: number;
  /** The file's name without its ending. */
  readonly name: string;
  readonly sql: string;
  /**
   * Whether a program that does not know this migration must refuse the database. The schema's generation moves with it,
   * which stops programs that are running.
   */
  readonly breaking: boolean;
}

export const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: "0001_create_ledger_and_heartbeats", sql: createLedgerAndHeartbeats, breaking: true },
  // A program that does not keep the roll-up up to date must not write.
  { version: 2, name: "0002_partition_heartbeats", sql: partitionHeartbeats, breaking: true },
  { version: 3, name: "0003_add_minute_rollup", sql: addMinuteRollup, breaking: true },
  { version: 4, name: "0004_add_ledger_positions", sql: addLedgerPositions, breaking: false },
  { version: 5, name: "0005_add_leader_epoch", sql: addLeaderEpoch, breaking: false },
  { version: 6, name: "0006_index_ts_by_block_range", sql: indexTsByBlockRange, breaking: false },
  { version: 7, name: "0007_lock_partitions_briefly", sql: lockPartitionsBriefly, breaking: false },
  { version: 8, name: "0008_summarize_block_ranges", sql: summarizeBlockRanges, breaking: false },
  { version: 9, name: "0009_empty_old_rejects", sql: emptyOldRejects, breaking: false },
  { version: 10, name: "0010_drop_in_pieces", sql: dropInPieces, breaking: false },
  // A program that does not know the floor counts readings of dropped days twice.
  { version: 11, name: "0011_reopen_dropped_days", sql: reopenDroppedDays, breaking: true },
  // A program that does not look at the generation could not be stopped by a later migration.
  { version: 12, name: "0012_fence_schema_generation", sql: fenceSchemaGeneration, breaking: true },
];
