import { deepStrictEqual, ok, strictEqual, throws } from "node:assert";
import {
  choice,
  decimal,
  type Environment,
  integer,
  optional,
  parseSettings,
  readTogether,
  secret,
  text,
} from "../../../workers/_shared/env.ts";
import { UsageError } from "../../../workers/_shared/errors.ts";

const SHAPE = {
  RATE: integer({ min: 1, max: 300, unit: "beats per minute", default: 70 }),
  SHARE: decimal({ min: 0, max: 1, unit: "of all records", default: 0.5 }),
  MODE: choice(["fail", "earliest"], "fail"),
  NAME: text({ expected: "a name", pattern: /^\w+$/ }),
  PASSWORD: optional(secret({ expected: "a password", pattern: /^.{4,}$/ })),
};

function parse(env: Environment, readFile?: (path: string) => string) {
  return parseSettings("tester", SHAPE, env, readFile === undefined ? {} : { readFile });
}

function problems(env: Environment, readFile?: (path: string) => string): string[] {
  try {
    parse(env, readFile);
  } catch (error) {
    ok(error instanceof UsageError);
    return error.message.split("\n").slice(1).map((line) => line.trim());
  }
  return [];
}

Deno.test("parseSettings() uses the default of a setting that is absent or empty", () => {
  const expected = { RATE: 70, SHARE: 0.5, MODE: "fail", NAME: "x", PASSWORD: undefined };
  deepStrictEqual(parse({ NAME: "x" }), expected);
  deepStrictEqual(parse({ NAME: "x", RATE: "", MODE: "", PASSWORD: "" }), expected);
});

Deno.test("parseSettings() reports every problem at once, one per line, and never replaces a malformed value by a default", () => {
  throws(() => parse({ RATE: "fourty", SHARE: "2", MODE: "latest" }), {
    name: "UsageError",
    message: [
      "Cannot start the tester: 4 settings are wrong",
      '  RATE: is "fourty", expected an integer from 1 to 300 (beats per minute)',
      '  SHARE: is "2", expected a number from 0 to 1 (of all records)',
      '  MODE: is "latest", expected one of fail, earliest',
      "  NAME: is missing, expected a name",
    ].join("\n"),
  });
});

Deno.test("integer() accepts its bounds and refuses a fraction, exponent, space, plus sign or overflow", () => {
  for (const RATE of ["1", "300", "007"]) deepStrictEqual(problems({ NAME: "x", RATE }), []);
  for (const RATE of ["0", "301", "1.0", "1e2", " 70", "70 ", "+70", "0x46", "9".repeat(400), "NaN", "-0x"]) {
    strictEqual(problems({ NAME: "x", RATE }).length, 1, RATE);
  }
});

Deno.test("decimal() accepts its bounds and refuses an exponent, infinity or a bare decimal point", () => {
  for (const SHARE of ["0", "1", "0.25", "-0"]) deepStrictEqual(problems({ NAME: "x", SHARE }), []);
  for (const SHARE of ["-0.1", "1.01", "1e-1", "Infinity", ".5", "0."]) {
    strictEqual(problems({ NAME: "x", SHARE }).length, 1, SHARE);
  }
});

Deno.test("the error about a malformed secret does not show it", () => {
  deepStrictEqual(problems({ NAME: "x", PASSWORD: "abc" }), [
    "PASSWORD: is malformed (not shown), expected a password",
  ]);
});

Deno.test("a secret may come from a file, without the last line ending of the file", () => {
  for (const content of ["se same", "se same\n", "se same\r\n"]) {
    strictEqual(parse({ NAME: "x", PASSWORD_FILE: "/run/p" }, () => content).PASSWORD, "se same");
  }
});

Deno.test("parseSettings() refuses a secret file that it cannot read, or that is set together with the secret", () => {
  const unreadable = () => {
    throw new Error("no such file");
  };
  deepStrictEqual(problems({ NAME: "x", PASSWORD_FILE: "/run/p" }, unreadable), [
    "PASSWORD_FILE: cannot read /run/p, expected a readable file",
  ]);
  deepStrictEqual(problems({ NAME: "x", PASSWORD: "sesame", PASSWORD_FILE: "/run/p" }, () => "sesame"), [
    "PASSWORD_FILE: is set together with PASSWORD, expected only one of the two",
  ]);
});

Deno.test("only secrets are read from files", () => {
  deepStrictEqual(problems({ NAME_FILE: "/run/name" }, () => "x"), ["NAME: is missing, expected a name"]);
});

Deno.test("parseSettings() reports a problem under the name that the caller's label gives", () => {
  const label = (name: string) => `--${name}`;
  throws(() => parseSettings("tester", { rate: SHAPE.RATE }, { rate: "x" }, { label }), {
    message: /1 setting is wrong\n {2}--rate: is "x", /,
  });
});

Deno.test("readTogether() reports the problems of all parts, each problem once", () => {
  const port = { PORT: integer({ min: 1, max: 9, unit: "port" }) };
  const size = { SIZE: integer({ min: 1, max: 9, unit: "bytes" }) };
  const env = { PORT: "x", SIZE: "0" };
  throws(
    () =>
      readTogether("program", [
        () => parseSettings("program", { ...port, ...size }, env),
        () => parseSettings("program", port, env),
        () => parseSettings("program", size, env),
      ]),
    {
      name: "UsageError",
      message: "Cannot start the program: 2 settings are wrong\n" +
        '  PORT: is "x", expected an integer from 1 to 9 (port)\n' +
        '  SIZE: is "0", expected an integer from 1 to 9 (bytes)',
    },
  );
});
