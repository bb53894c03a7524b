import assert from "node:assert/strict";
import { CommanderError } from "commander";
import { UsageError } from "../../../workers/_shared/errors.ts";
import { readConfig } from "../../../workers/producer/config.ts";

const NOW_MICROS = Date.UTC(2026, 0, 5, 12) * 1000;
const noFile = () => {
  throw new TypeError("no file expected");
};

function read(...args: string[]) {
  return readConfig(args, {}, noFile, NOW_MICROS).records;
}

function synthetic(...args: string[]) {
  const records = read(...args);
  assert.equal(records.kind, "synthetic");
  return records.kind === "synthetic" ? records.options : assert.fail();
}

function recording(...args: string[]) {
  const records = read(...args);
  return records.kind === "recording" ? records.options : assert.fail();
}

function complaint(...args: string[]): string {
  try {
    read(...args);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
  return assert.fail(`accepted ${args.join(" ")}`);
}

Deno.test("readConfig() lets each customer send one reading a second unless told", () => {
  const { customers, spacingMicros, live, expected } = synthetic();
  assert.deepEqual({ customers, spacingMicros, live, expected }, {
    customers: 50,
    spacingMicros: 20_000,
    live: true,
    expected: undefined,
  });
});

Deno.test("readConfig() knows how many records a duration holds", () => {
  assert.equal(synthetic("--rate", "250", "--duration", "2m").expected, 30_000);
});

Deno.test("readConfig() plans a backfill from an instant, or from so long ago, to now", () => {
  const ago = synthetic("--from", "1h", "--interval", "10s", "--customers", "4");
  const { startMicros, endMicros, spacingMicros, live, expected } = ago;
  assert.deepEqual({ startMicros, endMicros, spacingMicros, live, expected }, {
    startMicros: NOW_MICROS - 3_600e6,
    endMicros: NOW_MICROS,
    spacingMicros: 2.5e6,
    live: false,
    expected: 1_440,
  });
  const dated = synthetic("--from", "2025-12-31", "--to", "2026-01-01T02:00:00+02:00");
  assert.equal(dated.startMicros, Date.UTC(2025, 11, 31) * 1000);
  assert.equal(dated.endMicros, Date.UTC(2026, 0, 1) * 1000);
});

Deno.test("readConfig() reads how a recording is mapped, and takes its format from the file's ending", () => {
  const { format, mapping, speed, shiftToNow, skipBad } = recording(
    "--file",
    "a.NDJSON",
    "--map",
    "timestamp=When,heart_rate=a=b",
    "--speed",
    "60",
    "--shift-to-now",
  );
  assert.deepEqual({ format, mapping, speed, shiftToNow, skipBad }, {
    format: "ndjson",
    mapping: { customer_id: "customer_id", timestamp: "When", heart_rate: "a=b" },
    speed: 60,
    shiftToNow: true,
    skipBad: false,
  });
});

Deno.test("readConfig() names every flag that is wrong, with what was expected", () => {
  assert.equal(
    complaint("--rate", "fast", "--seed", "-1", "--compression", "rar"),
    [
      "Cannot start the producer: 3 settings are wrong",
      '  --rate: is "fast", expected a number from 0.001 to 1000000 (readings per second)',
      '  --seed: is "-1", expected an integer from 0 to 4294967295 (seed)',
      '  --compression: is "rar", expected one of none, gzip, snappy, lz4, zstd',
    ].join("\n"),
  );
});

const TOGETHER: readonly [args: readonly string[], problem: string][] = [
  [["--to", "1h"], "--to: is given without --from"],
  [["--from", "1h", "--rate", "5"], "--rate: is given with --from"],
  [["--from", "1h", "--to", "2h"], "--to: is not after --from"],
  [["--from", "soon"], '--from: is "soon"'],
  [["--duration", "1.2.3s"], '--duration: is "1.2.3s"'],
  [["--file", "a.txt"], "--format: is missing"],
  [["--file", "a.csv", "--rate", "5"], "--rate: is given with --file"],
  [["--file", "a.csv", "--map", "pulse=Value"], '--map: is "pulse=Value"'],
  [["--file", "a.csv", "--map", "heart_rate=A,heart_rate=B"], "--map: is"],
  [["--file", "a.csv", "--time-format", "h:mm"], '--time-format: is "h:mm"'],
  [["--file", "a.csv", "--timezone", "CET"], '--timezone: is "CET"'],
  [["--file", "a.csv", "--speed", "0"], "--speed: is 0"],
];

for (const [args, problem] of TOGETHER) {
  Deno.test(`readConfig() refuses ${args.join(" ")}`, () => {
    const message = complaint(...args);
    assert.ok(message.includes(problem), message);
  });
}

Deno.test("readConfig() refuses a flag that does not exist", () => {
  assert.throws(() => read("--nope"), CommanderError);
});
