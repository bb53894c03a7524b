/** The kinds of records that must become rejects, whatever is stored. */
import { Buffer } from "node:buffer";
import type { RejectReason } from "../workers/_shared/record/heartbeat.ts";

export interface BadRecord {
  readonly reason: RejectReason;
  readonly value: Buffer | null;
}

const TIME = "2026-01-01T00:00:00Z";

function bad(reason: RejectReason, text: (index: number) => string): (index: number) => BadRecord {
  return (index) => ({ reason, value: Buffer.from(text(index)) });
}

/** Each by the record's index, so that no two are alike where a value can tell. */
export const BAD_RECORDS: readonly ((index: number) => BadRecord)[] = [
  bad("invalid_json", (index) => `{"customer_id": ${index}`),
  () => ({ reason: "tombstone", value: null }),
  (index) => ({ reason: "invalid_utf8", value: Buffer.from([0x22, 0xff, index % 256, 0x22]) }),
  bad("heart_rate_out_of_range", (i) => `{"customer_id":"x-${i}","timestamp":"${TIME}","heart_rate":300}`),
  () => ({ reason: "empty_value", value: Buffer.alloc(0) }),
  bad("not_an_object", (index) => `[${index}]`),
  bad("missing_customer_id", (index) => `{"timestamp":"${TIME}","heart_rate":70,"index":${index}}`),
  bad("invalid_customer_id", (i) => `{"customer_id":"x\\u0000${i}","timestamp":"${TIME}","heart_rate":70}`),
  bad("invalid_timestamp", (i) => `{"customer_id":"x-${i}","timestamp":"2026-02-30","heart_rate":70}`),
  bad(
    "timestamp_in_future",
    (i) => `{"customer_id":"x-${i}","timestamp":"9000-01-01T00:00:00Z","heart_rate":70}`,
  ),
  bad("invalid_heart_rate", (i) => `{"customer_id":"x-${i}","timestamp":"${TIME}","heart_rate":"7${i}"}`),
];
