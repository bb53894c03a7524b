/**
 * Kafka's error codes that mean something to this pipeline, by what they mean; every other one is a failure of Kafka.
 * Names and numbers: https://kafka.apache.org/protocol#protocol_error_codes
 */
export const NONE = 0;
export const OFFSET_OUT_OF_RANGE = 1;

/** Answers to a fetch of a broker that does not serve a partition now: leadership moved, or the topic was deleted. */
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

/**
 * Answers to a question about a topic that are about the leader of a single partition: LEADER_NOT_AVAILABLE,
 * REPLICA_NOT_AVAILABLE, and LISTENER_NOT_FOUND where it is not to be reached where we came in.
 */
export const PARTITION_LEADER_ERRORS: ReadonlySet<unknown> = new Set([5, 9, 72]);

/** Answers about the published records themselves: trying again cannot help, sending fewer at a time may. */
export const REFUSED_RECORDS: ReadonlySet<unknown> = new Set([
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_RECORD",
]);

/** A coordinator that is being made, or moves, is no error for the first seconds. */
export const COORDINATOR_NOT_READY: ReadonlySet<unknown> = new Set([
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR",
]);
