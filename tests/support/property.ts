import fc from "fast-check";

/** Options for `fc.assert`. Prints the seed, which is random unless PROPERTY_SEED repeats an earlier run. */
export function property(name: string, numRuns: number): { readonly seed: number; readonly numRuns: number } {
  const given = Deno.env.get("PROPERTY_SEED");
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  const line = `  ${name}: ${numRuns} inputs, PROPERTY_SEED=${seed}\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(line));
  return { seed, numRuns };
}

/** Any string of UTF-16 code units, including NUL and unpaired surrogates. */
export function anyText(maxLength: number): fc.Arbitrary<string> {
  const unit = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff }) },
    { weight: 1, arbitrary: fc.integer({ min: 0xd800, max: 0xdfff }) },
  );
  return fc.array(unit, { maxLength }).map((codes) => String.fromCharCode(...codes));
}

/** Strings in the shape of a timestamp. Many have values out of range, and some are damaged. */
export function timestampText(): fc.Arbitrary<string> {
  const two = (max: number) => fc.integer({ min: 0, max }).map((value) => String(value).padStart(2, "0"));
  const year = fc.oneof(
    fc.integer({ min: 0, max: 9999 }),
    fc.constantFrom(0, 1, 1600, 1683, 1900, 1969, 2000, 2024, 2255, 9999),
  ).map((value) => String(value).padStart(4, "0"));
  const fraction = fc.tuple(fc.constantFrom(".", ","), fc.stringMatching(/^[0-9]{1,12}$/)).map((it) =>
    it.join("")
  );
  const seconds = fc.tuple(two(61), fc.option(fraction, { nil: "" })).map(([whole, rest]) =>
    `:${whole}${rest}`
  );
  const numeric = fc.tuple(fc.constantFrom("+", "-"), two(24), fc.constantFrom("", ":", "none"), two(60))
    .map(([sign, hours, colon, minutes]) => `${sign}${hours}${colon === "none" ? "" : colon + minutes}`);
  const text = fc.tuple(
    year,
    fc.constant("-"),
    two(13),
    fc.constant("-"),
    two(32),
    fc.constantFrom("T", "t", " "),
    two(24),
    fc.constant(":"),
    two(60),
    fc.option(seconds, { nil: "" }),
    fc.oneof(fc.constantFrom("", "Z", "z"), numeric),
  ).map((parts) => parts.join(""));
  const damaged = fc.tuple(
    text,
    fc.nat({ max: 34 }),
    fc.nat({ max: 2 }),
    fc.constantFrom(..."0:9+-.,TZ t/\u0660\n"),
  )
    .map(([whole, at, cut, char]) => whole.slice(0, at) + char + whole.slice(at + cut));
  return fc.oneof({ weight: 4, arbitrary: text }, { weight: 1, arbitrary: damaged });
}
