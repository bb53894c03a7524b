/** Error codes that this pipeline handles one by one. Numbers: https://kafka.apache.org/protocol#protocol_error_codes */
export const NONE = 0;
export const OFFSET_OUT_OF_RANGE = 1;

/** The broker does not serve the partition now: its leader moved, or the topic was deleted. */
export const STALE_METADATA_ERRORS: Readonly<Record<number, string>> = {
  3: "UNKNOWN_TOPIC_OR_PARTITION",
  5: "LEADER_NOT_AVAILABLE",
  6: "NOT_LEADER_OR_FOLLOWER",
  9: "REPLICA_NOT_AVAILABLE",
  74: "FENCED_LEADER_EPOCH",
  75: "UNKNOWN_LEADER_EPOCH",
  78: "OFFSET_NOT_AVAILABLE",
  100: "UNKNOWN_TOPIC_ID",
  103: "INCONSISTENT_TOPIC_ID",
};

/** LEADER_NOT_AVAILABLE, REPLICA_NOT_AVAILABLE and LISTENER_NOT_FOUND concern one partition, not the whole topic. */
export const PARTITION_LEADER_ERRORS: ReadonlySet<unknown> = new Set([5, 9, 72]);

/** A retry of the same records cannot succeed. A smaller batch may. */
export const REFUSED_RECORDS: ReadonlySet<unknown> = new Set([
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_RECORD",
]);

/** These codes are normal for some seconds while the group's coordinator starts or moves. */
export const COORDINATOR_NOT_READY: ReadonlySet<unknown> = new Set([
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR",
]);
