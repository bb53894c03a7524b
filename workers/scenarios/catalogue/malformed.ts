/** Values that are no reading: one record and more for each reason that data alone can cause. */
import type { RejectReason } from "../../_shared/record/heartbeat.ts";
import { bytes, raw, rejected, type Run, type Scenario } from "../scenario.ts";

const TS = "2026-07-14T09:30:00Z";

/** Written by hand: what is wrong with it shall be seen. `ID` stands for the customer, `BPM` for a normal rate. */
const MALFORMED:
  readonly (readonly [what: string, value: string | Uint8Array | null, reason: RejectReason])[] = [
    ["a tombstone", null, "tombstone"],
    ["no bytes", "", "empty_value"],
    ["bytes that no UTF-8 has", Uint8Array.of(0xff, 0xfe, 0x00, 0x80), "invalid_utf8"],
    ["an overlong slash", Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), "invalid_utf8"],
    ["a surrogate as UTF-8", Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), "invalid_utf8"],
    ["a character cut in the middle", Uint8Array.of(0x22, 0xf0, 0x9f, 0xab), "invalid_utf8"],
    ["white space", " \n", "invalid_json"],
    ["plain text", "ID,2026-07-14T09:30:00Z,BPM", "invalid_json"],
    ["JSON cut in the middle", `{"customer_id":"ID","timestamp":"${TS}","heart_ra`, "invalid_json"],
    ["text behind it", `{"customer_id":"ID","timestamp":"${TS}","heart_rate":BPM} ok`, "invalid_json"],
    [
      "a second document behind it",
      `{"customer_id":"ID","timestamp":"${TS}","heart_rate":BPM}{}`,
      "invalid_json",
    ],
    [
      "a NUL byte behind it",
      `{"customer_id":"ID","timestamp":"${TS}","heart_rate":BPM}\u0000`,
      "invalid_json",
    ],
    ["a comma too many", `{"customer_id":"ID","timestamp":"${TS}","heart_rate":BPM,}`, "invalid_json"],
    ["single quotes", `{'customer_id':'ID','timestamp':'${TS}','heart_rate':BPM}`, "invalid_json"],
    ["NaN", `{"customer_id":"ID","timestamp":"${TS}","heart_rate":NaN}`, "invalid_json"],
    [
      "a number with a leading zero",
      `{"customer_id":"ID","timestamp":"${TS}","heart_rate":0BPM}`,
      "invalid_json",
    ],
    ["a line break in a text", `{"customer_id":"ID\n","timestamp":"${TS}","heart_rate":BPM}`, "invalid_json"],
    ["null", "null", "not_an_object"],
    ["a number", "BPM", "not_an_object"],
    ["a text", '"ID"', "not_an_object"],
    [
      "an array of one reading",
      `[{"customer_id":"ID","timestamp":"${TS}","heart_rate":BPM}]`,
      "not_an_object",
    ],
    ["no members", "{}", "missing_customer_id"],
    ["no customer", `{"timestamp":"${TS}","heart_rate":BPM}`, "missing_customer_id"],
    ["other names", `{"customerId":"ID","timestamp":"${TS}","heart_rate":BPM}`, "missing_customer_id"],
    ["no timestamp", '{"customer_id":"ID","heart_rate":BPM}', "missing_timestamp"],
    ["no heart rate", `{"customer_id":"ID","timestamp":"${TS}"}`, "missing_heart_rate"],
    [
      "a reading in an envelope",
      `{"payload":{"customer_id":"ID","timestamp":"${TS}","heart_rate":BPM}}`,
      "missing_customer_id",
    ],
    ["a wrong customer", `{"customer_id":false,"timestamp":"${TS}","heart_rate":BPM}`, "invalid_customer_id"],
    [
      "a wrong timestamp",
      '{"customer_id":"ID","timestamp":"yesterday","heart_rate":BPM}',
      "invalid_timestamp",
    ],
    [
      "a wrong heart rate",
      `{"customer_id":"ID","timestamp":"${TS}","heart_rate":"BPM"}`,
      "invalid_heart_rate",
    ],
    [
      "all wrong, told by the first",
      '{"customer_id":"","timestamp":0,"heart_rate":[]}',
      "invalid_customer_id",
    ],
  ];

function record(run: Run, [what, value, reason]: typeof MALFORMED[number], index: number) {
  const customer = run.customer(`malformed-${index}`);
  const text = typeof value === "string"
    ? bytes(value.replaceAll("ID", customer).replaceAll("BPM", String(run.heartRate)))
    : value;
  return raw(what, customer, text, rejected(reason), customer);
}

export const MALFORMED_VALUES: readonly Scenario[] = [
  {
    name: "malformed",
    promise: "what is no reading is rejected with its reason and its exact bytes",
    records: (run) => MALFORMED.map((one, index) => record(run, one, index)),
  },
];
