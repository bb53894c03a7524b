import fc from "fast-check";

const EDGES: readonly string[] = [
  // Zero, numbers that a double rounds to zero, and numbers that it rounds to infinity.
  "0 -0 0.0 -0.0e-0 0e999999999 1e-400 -1e-400 5e-324 2e-324 1e-999999999999999999999",
  "1e400 -1e400 1.7976931348623157e308 1.7976931348623159e308 1e999999999999999999999",
  // The limits of a heart rate, and one heart rate in many notations.
  "29 30 44 45 180 181 220 221 29.9999999999999999999 219.9999999999999999 220.00000000000000000000000000001",
  "72.0 7.2e1 7200e-2 0.72e2 0.072e+3 7.2e+0000000000000001 1E+2 72.5 72.00000000000000001",
  // The limits of integers of 16, 32, 53 and 64 bits.
  "32767 32768 -32768 65536 2147483647 2147483648 4294967296 4294967368",
  "9007199254740991 9007199254740991.0 9007199254740991e0 900719925474099100e-2 -9007199254740991",
  "9007199254740990.9999 9007199254740992 -9007199254740992 9007199254740993 9007199254740993.5",
  "9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616 18446744073709551688",
  "1e22 1e23 123456789012345678901234567890",
].flatMap((line) => line.split(" "));

/** Numbers in other languages, but not in JSON. */
const NEARLY: readonly string[] = [
  "+72,072,-072,00,72.,.72,-.72,7.2e,7.2e+,72e1.5,--72,-,7 2,\u0667\u0662,\uff17\uff12,\u221272",
  "0x48,0b1,0o7,1_000,72n,72f,NaN,nan,Infinity,-Infinity,inf,True,None,nul,undefined",
].flatMap((line) => line.split(",")).concat("1,5");

const grammar = fc.tuple(
  fc.constantFrom("", "-"),
  fc.stringMatching(/^(0|[1-9][0-9]{0,20})$/),
  fc.option(fc.stringMatching(/^[0-9]{1,25}$/), { nil: undefined }),
  fc.option(fc.tuple(fc.constantFrom("e", "E", "e+", "e-"), fc.nat({ max: 40 })), { nil: undefined }),
).map(([sign, whole, fraction, exponent]) => {
  return `${sign}${whole}${fraction === undefined ? "" : `.${fraction}`}${exponent?.join("") ?? ""}`;
});

/** A heart rate in notations with the same integer value. */
const sameInteger = fc.tuple(fc.integer({ min: 25, max: 225 }), fc.nat({ max: 30 })).chain(([rate, zeros]) =>
  fc.constantFrom(
    `${rate}.${"0".repeat(zeros + 1)}`,
    `${rate}${"0".repeat(zeros)}e-${zeros}`,
    `0.${"0".repeat(zeros)}${rate}e${zeros + String(rate).length}`,
    `${rate}e0`,
  )
);

export const numberSource: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...EDGES) },
  { weight: 2, arbitrary: fc.constantFrom(...NEARLY) },
  { weight: 3, arbitrary: grammar },
  { weight: 3, arbitrary: sameInteger },
);
