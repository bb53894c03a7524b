import { strictEqual } from "node:assert";
import { withSection } from "../../../bench/lab/sections.ts";

Deno.test("withSection() replaces the section of a benchmark and does not move the other sections", () => {
  const both = withSection(withSection("", "one", "1\n"), "two", "2");
  strictEqual(both, "## one\n\n1\n\n## two\n\n2\n");
  strictEqual(withSection(both, "one", "a\n\nb"), "## one\n\na\n\nb\n\n## two\n\n2\n");
});
