import assert from "node:assert/strict";
import { CommanderError } from "commander";
import { UsageError } from "../../../workers/_shared/errors.ts";
import { readConfig } from "../../../workers/producer/config.ts";
import { syntheticSource } from "../../../workers/producer/generate.ts";

const NOW_MICROS = Date.UTC(2026, 0, 5, 12) * 1000;
const noFile = () => {
  throw new TypeError("the test expects no read of a file");
};

function read(...args: string[]) {
  return readConfig({ args, env: {}, readFile: noFile }, NOW_MICROS).records;
}

function synthetic(...args: string[]) {
  const records = read(...args);
  return "path" in records ? assert.fail() : records;
}

function recording(...args: string[]) {
  const records = read(...args);
  return "path" in records ? records : assert.fail();
}

function errorOf(...args: string[]): string {
  try {
    read(...args);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
  return assert.fail(`accepted ${args.join(" ")}`);
}

Deno.test("readConfig() plans one reading per second for each of 50 customers by default", () => {
  const { customers, spacingMicros, live, durationMicros } = synthetic();
  assert.deepEqual([customers, spacingMicros, live, durationMicros], [50, 20_000, true, Infinity]);
});

Deno.test("syntheticSource() computes the number of records and their rate", () => {
  const source = (...args: string[]) => {
    const { expected, recordsPerSecond } = syntheticSource(synthetic(...args));
    return [expected, recordsPerSecond];
  };
  assert.deepEqual(source("--rate", "250", "--duration", "2m"), [30_000, 250]);
  assert.deepEqual(source("--count", "70"), [70, 50]);
  assert.deepEqual(source(), [undefined, 50]);
  assert.deepEqual(source("--from", "1h", "--customers", "4", "--count", "2000"), [1_440, undefined]);
});

Deno.test("readConfig() plans a backfill that begins at a time or a duration ago, and ends at --to or now", () => {
  const relative = synthetic("--from", "1h", "--interval", "10s", "--customers", "4");
  const { startMicros, durationMicros, spacingMicros, live } = relative;
  const planned = [NOW_MICROS - 3_600e6, 3_600e6, 2.5e6, false];
  assert.deepEqual([startMicros, durationMicros, spacingMicros, live], planned);
  const dated = synthetic("--from", "2025-12-31", "--to", "2026-01-01T02:00:00+02:00");
  assert.equal(dated.startMicros, Date.UTC(2025, 11, 31) * 1000);
  assert.equal(dated.durationMicros, 86_400e6);
});

Deno.test("readConfig() reads durations and time zones in all documented forms", () => {
  const durations = ["500ms", "30s", "1.5m", "2h", "7d"].map((text) =>
    synthetic("--duration", text).durationMicros
  );
  assert.deepEqual(durations, [5e5, 3e7, 9e7, 7.2e9, 6.048e11]);
  const zones = ["UTC", "z", "+02:00", "-0530", "+18:00"];
  assert.deepEqual(
    zones.map((zone) => recording("--file", "a.csv", `--timezone=${zone}`).zone),
    ["Z", "Z", "+02:00", "-0530", "+18:00"],
  );
});

Deno.test("readConfig() reads the column mapping and takes the format from the file name", () => {
  const flags = "--file a.NDJSON --map timestamp=When,heart_rate=a=b --speed 60 --shift-to-now";
  const { format, mapping, speed, shiftToNow, skipBad } = recording(...flags.split(" "));
  assert.deepEqual({ format, mapping, speed, shiftToNow, skipBad }, {
    format: "ndjson",
    mapping: { customer_id: "customer_id", timestamp: "When", heart_rate: "a=b" },
    speed: 60,
    shiftToNow: true,
    skipBad: false,
  });
});

Deno.test("readConfig() names each wrong flag with the expected values", () => {
  assert.equal(
    errorOf("--rate", "fast", "--seed", "-1", "--compression", "rar"),
    [
      "Cannot start the producer: 3 settings are wrong",
      '  --rate: is "fast", expected a number from 0.001 to 1000000 (readings per second)',
      '  --seed: is "-1", expected an integer from 0 to 4294967295 (seed)',
      '  --compression: is "rar", expected one of none, gzip, snappy, lz4, zstd',
    ].join("\n"),
  );
});

const REFUSED: readonly [args: readonly string[], problem: string][] = [
  [["--to", "1h"], "--to: is given without --from"],
  [["--from", "1h", "--rate", "5"], "--rate: is given with --from"],
  [["--from", "1h", "--to", "2h"], "--to: is not after --from"],
  [["--from", "soon"], '--from: is "soon"'],
  ...["1.2.3s", "5", "0s", "-1s", "1 s", "1w", "1e3s"].map((text): [string[], string] => {
    return [[`--duration=${text}`], `--duration: is "${text}", expected a duration such as 500ms`];
  }),
  [["--file", "a.txt"], "--format: is missing"],
  [["--file", "a.csv", "--rate", "5"], "--rate: is given with --file"],
  [["--file", "a.csv", "--map", "pulse=Value"], '--map: is "pulse=Value"'],
  [["--file", "a.csv", "--map", "heart_rate=A,heart_rate=B"], "--map: is"],
  [["--file", "a.csv", "--time-format", "h:mm"], '--time-format: is "h:mm"'],
  ...["CET", "+2", "+02:60", "+19:00"].map((text): [string[], string] => {
    return [[`--timezone=${text}`], `--timezone: is "${text}", expected UTC or an offset such as +02:00`];
  }),
  [["--file", "a.csv", "--speed", "0"], "--speed: is 0"],
];

for (const [args, problem] of REFUSED) {
  Deno.test(`readConfig() refuses ${args.join(" ")}`, () => {
    const message = errorOf(...args);
    assert.ok(message.includes(problem), message);
  });
}

Deno.test("readConfig() refuses a flag that does not exist", () => {
  assert.throws(() => read("--nope"), CommanderError);
});
