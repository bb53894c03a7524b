import assert from "node:assert/strict";
import { serverProperties } from "../../../stack/kafka/kafka_properties.ts";

Deno.test("serverProperties() writes values that java.util.Properties reads back unchanged", () => {
  const value = ` \u00f6\u4e2d\u{1f499}\t a\\b "q", 100% =:#! `;
  const text = serverProperties({
    id: 1,
    clientPort: 9092,
    links: [],
    controllers: new Map([[1, 9093]]),
    data: "data",
    config: { some: value },
  });
  const line = text.split("\n").find((line) => line.startsWith("some=")) ?? "";
  assert.match(line, /^[\x20-\x7e]+$/);
  // Java skips blanks before a value. A backslash escapes the next character or four hexadecimal digits.
  const read = line.slice("some=".length).replace(/^[ \t\f]+/, "").replace(
    /\\(?:u([0-9a-f]{4})|(.))/g,
    (_, code, char) => code === undefined ? char : String.fromCharCode(parseInt(code, 16)),
  );
  assert.equal(read, value);
});
