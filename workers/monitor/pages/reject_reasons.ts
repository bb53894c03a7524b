import type { RejectReason } from "../../_shared/record/heartbeat.ts";

/** What each reason means, for a reader who sees it for the first time. */
export const EXPLANATIONS: Readonly<Record<RejectReason, string>> = {
  tombstone:
    "The record has a key but no value. In Kafka, this means that the key is to be deleted. It has no reading.",
  empty_value: "The record's value has no bytes, so it has no reading.",
  invalid_utf8: "The value is not text in UTF-8.",
  invalid_json: "The value is not valid JSON, or it is longer than 2 MiB.",
  not_an_object: "The value is JSON, but not one object with customer_id, timestamp and heart_rate.",
  missing_customer_id: "The field customer_id is missing, so the reading belongs to no known customer.",
  invalid_customer_id: "The customer_id is neither a text of 1 to 128 characters nor an integer.",
  missing_timestamp: "The field timestamp is missing, so the time of the measurement is unknown.",
  invalid_timestamp:
    "The timestamp is not an existing date and time in ISO 8601, such as 2026-07-14T09:30:00Z.",
  timestamp_in_future: "The timestamp is in the future. The clock of the sender is probably wrong.",
  too_old:
    "The reading is older than RETENTION_DAYS, or of a day that was dropped. Its content is not stored.",
  missing_heart_rate: "The field heart_rate is missing.",
  invalid_heart_rate: "The heart_rate is not an integer.",
  heart_rate_out_of_range:
    "The heart rate is outside the valid range (HEART_RATE_MIN to HEART_RATE_MAX), probably an error of the sensor.",
  conflicting_duplicate:
    "This customer already has a reading of the same instant with another heart rate. The first one is kept.",
  database_rejected:
    "PostgreSQL refused the row because of its values, for example by a rule that was added later.",
};

/** @param reason as stored: a consumer of another version may know more reasons */
export function explainReason(reason: string): string {
  return Object.hasOwn(EXPLANATIONS, reason)
    ? EXPLANATIONS[reason as RejectReason]
    : "This page is older than the consumer and does not know this reason. Its detail says more.";
}
