/** Documents that no longer tell what is there. */
import type { BrokenBuild } from "./broken_build.ts";

const DOCUMENTS = "tests/unit/documents_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "a test is renamed, and the specification goes on naming it as it was",
    edits: [{
      file: "docs/pipeline_spec.md",
      find: "tests/faults/rebalance_test.ts",
      replace: "tests/faults/ownership_test.ts",
    }],
    test: {
      file: DOCUMENTS,
      name: "every file and folder of this repository that the documents quote is there",
    },
  },
  {
    breaks: "a task tells its flags, and nobody how they are used",
    edits: [{
      file: "bench/flat/main.ts",
      find: `.addHelpText("after", "\\nExample:\\n  deno task bench:flat --rows 5000000 --runs 1")`,
      replace: "",
    }],
    test: {
      file: "tests/integration/help_test.ts",
      name: "every task answers --help with what it does and an example, at once",
    },
  },
  {
    breaks: "a document is linked to from another folder as from its own",
    edits: [{ file: "docs/faults.md", find: "[the run](chaos.md)", replace: "[the run](docs/chaos.md)" }],
    test: { file: DOCUMENTS, name: "every relative link in the documents leads to a file or a folder" },
  },
  {
    breaks: "a folder is renamed, and README.md goes on naming it as it was",
    edits: [{ file: "README.md", find: "| `tools/` |", replace: "| `tool/` |" }],
    test: {
      file: DOCUMENTS,
      name: "every file and folder of this repository that the documents quote is there",
    },
  },
  {
    breaks: "a table of README.md has an empty line in it",
    edits: [{
      file: "README.md",
      find: "| one hour of load and random faults",
      replace: "\n| one hour of load and random faults",
    }],
    test: { file: DOCUMENTS, name: "no table in the documents is cut in two by an empty line" },
  },
  {
    breaks: "a figure is left for later",
    edits: [{
      file: "docs/faults.md",
      find: "Differences allowed: 0.",
      replace: "Differences allowed: TBD.",
    }],
    test: { file: DOCUMENTS, name: "nothing in the documents waits to be written" },
  },
];
