/** Timestamps: every accepted way to write one, what is none, the far past and the future. */
import { reading, rejected, type Scenario, stored } from "../scenario.ts";

/** How it is written, and the instant that it is. */
const ACCEPTED: readonly (readonly [what: string, written: string, meant: string])[] = [
  ["UTC", "2026-07-14T09:30:00Z", "2026-07-14T09:30:00.000000Z"],
  ["lower case", "2026-07-14t09:30:00z", "2026-07-14T09:30:00.000000Z"],
  ["a space", "2026-07-14 09:30:00Z", "2026-07-14T09:30:00.000000Z"],
  ["no offset is UTC", "2026-07-14T09:30:00", "2026-07-14T09:30:00.000000Z"],
  ["a space and no offset", "2026-07-14 09:30:00.5", "2026-07-14T09:30:00.500000Z"],
  ["no seconds", "2026-07-14T09:30Z", "2026-07-14T09:30:00.000000Z"],
  ["offset east", "2026-07-14T09:30:00+02:00", "2026-07-14T07:30:00.000000Z"],
  ["offset west, to the next day", "2026-07-14T23:30:00-07:00", "2026-07-15T06:30:00.000000Z"],
  ["offset of half an hour", "2026-07-14T09:30:00+05:30", "2026-07-14T04:00:00.000000Z"],
  ["offset without a colon", "2026-07-14T09:30:00+0545", "2026-07-14T03:45:00.000000Z"],
  ["offset of hours only", "2026-07-14T09:30:00-03", "2026-07-14T12:30:00.000000Z"],
  ["the widest offset", "2026-07-14T23:59:00+23:59", "2026-07-14T00:00:00.000000Z"],
  ["offset minus zero", "2026-07-14T09:30:00-00:00", "2026-07-14T09:30:00.000000Z"],
  ["one decimal", "2026-07-14T09:30:00.1Z", "2026-07-14T09:30:00.100000Z"],
  ["milliseconds", "2026-07-14T09:30:00.123Z", "2026-07-14T09:30:00.123000Z"],
  ["microseconds", "2026-07-14T09:30:00.123456Z", "2026-07-14T09:30:00.123456Z"],
  ["nanoseconds, cut and not rounded", "2026-07-14T09:30:00.123456999Z", "2026-07-14T09:30:00.123456Z"],
  ["decimals after a comma", "2026-07-14T09:30:00,25Z", "2026-07-14T09:30:00.250000Z"],
  ["a leap day", "2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000000Z"],
  ["a leap second", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"],
  ["a microsecond before 1970", "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"],
];

const REFUSED: readonly (readonly [what: string, written: unknown])[] = [
  ["a day that the year lacks", "2026-02-29T09:30:00Z"],
  ["a day that no February has", "2026-02-30T09:30:00Z"],
  ["month 13", "2026-13-01T09:30:00Z"],
  ["day 0", "2026-07-00T09:30:00Z"],
  ["hour 24", "2026-07-14T24:00:00Z"],
  ["minute 60", "2026-07-14T09:60:00Z"],
  ["second 60 at no leap second", "2026-07-14T09:30:60Z"],
  ["an offset of a day", "2026-07-14T09:30:00+24:00"],
  ["year 0", "0000-07-14T09:30:00Z"],
  ["before year 1 in UTC", "0001-01-01T00:00:00+01:00"],
  ["after year 9999 in UTC", "9999-12-31T23:59:59-01:00"],
  ["a five-digit year", "12026-07-14T09:30:00Z"],
  ["a date alone", "2026-07-14"],
  ["the basic format", "20260714T093000Z"],
  ["day first", "14.07.2026 09:30"],
  ["full-width digits", "２０２６-07-14T09:30:00Z"],
  ["white space before it", " 2026-07-14T09:30:00Z"],
  ["text behind it", "2026-07-14T09:30:00Z; now"],
  ["a decimal point alone", "2026-07-14T09:30:00.Z"],
  ["what PostgreSQL would take", "now"],
  ["what PostgreSQL has for ever", "infinity"],
  ["an empty text", ""],
  ["epoch seconds as a number", 1_784_021_400],
  ["epoch seconds as a text", "1784021400"],
  ["null", null],
];

const DAY_MS = 86_400_000;

export const TIMESTAMPS: readonly Scenario[] = [
  {
    name: "timestamps",
    promise: "every accepted way to write an instant is that instant, to the microsecond",
    records: (run) =>
      ACCEPTED.map(([what, written, meant], index) => {
        const customer = run.customer(`time-${index}`);
        const members = { timestamp: written, heart_rate: run.heartRate };
        return reading(`${what}: ${written}`, customer, members, stored(customer, meant, run.heartRate));
      }),
  },
  {
    name: "impossible_timestamps",
    promise: "what is no instant is rejected as invalid_timestamp",
    records: (run) =>
      REFUSED.map(([what, written], index) => {
        const customer = run.customer(`no-time-${index}`);
        const members = { timestamp: written, heart_rate: run.heartRate };
        return reading(what, customer, members, rejected("invalid_timestamp"));
      }),
  },
  {
    name: "microseconds",
    promise: "two readings a microsecond apart are two rows",
    records: (run) => {
      const customer = run.customer("microseconds");
      return ["09:30:00.123456", "09:30:00.123457", "09:30:00.123455"].map((time) => {
        const ts = `2026-07-14T${time}Z`;
        const members = { timestamp: ts, heart_rate: run.heartRate };
        return reading(time, customer, members, stored(customer, ts, run.heartRate));
      });
    },
  },
  {
    name: "far_past",
    promise: "the past is welcome however far",
    records: (run) =>
      ["0001-01-01T00:00:00.000001Z", "1582-10-10T12:00:00.000000Z", "1900-02-28T23:59:59.999999Z"].map(
        (ts) => {
          const customer = run.customer(`past-${ts.slice(0, 4)}`);
          const members = { timestamp: ts, heart_rate: run.heartRate };
          return reading(ts, customer, members, stored(customer, ts, run.heartRate));
        },
      ),
  },
  {
    name: "future",
    promise: "more than MAX_CLOCK_SKEW_SECONDS ahead is rejected, less is stored",
    records: (run) => {
      const { maxClockSkewSeconds } = run.limits;
      const ahead = (what: string, timestamp: string) => {
        const customer = run.customer(`ahead-${what.replaceAll(" ", "-")}`);
        const members = { timestamp, heart_rate: run.heartRate };
        return reading(what, customer, members, rejected("timestamp_in_future"));
      };
      const inMs = (ms: number) => new Date(run.startedMs + ms).toISOString();
      // The instant is in the name, so that the same run at another time has another customer.
      const withinMs = run.startedMs + maxClockSkewSeconds * 500;
      const customer = run.customer(`ahead-${withinMs}`);
      const within = new Date(withinMs).toISOString();
      const expected = stored(customer, within.replace("Z", "000Z"), run.heartRate);
      return [
        // Half the skew: that is how far our clock and the consumer's may differ. Too little of it proves nothing.
        ...maxClockSkewSeconds < 60 ? [] : [
          reading(
            "half the skew ahead",
            customer,
            { timestamp: within, heart_rate: run.heartRate },
            expected,
          ),
        ],
        ahead("a day beyond the skew", inMs(maxClockSkewSeconds * 1000 + DAY_MS)),
        ahead("ten years beyond the skew", inMs(maxClockSkewSeconds * 1000 + 3652 * DAY_MS)),
        ahead("the end of time", "9999-12-31T23:59:59.999999Z"),
      ];
    },
  },
];
