import { strictEqual } from "node:assert";
import { withSection } from "../../../bench/lab/sections.ts";

Deno.test("a part that ran replaces its own section and leaves the others where they are", () => {
  const both = withSection(withSection("", "one", "1\n"), "two", "2");
  strictEqual(both, "## one\n\n1\n\n## two\n\n2\n");
  strictEqual(withSection(both, "one", "a\n\nb"), "## one\n\na\n\nb\n\n## two\n\n2\n");
});
