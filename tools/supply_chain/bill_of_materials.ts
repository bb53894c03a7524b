import { Buffer } from "node:buffer";
import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";

interface LockedPackage {
  readonly integrity?: string;
  /** Names of packages; name@version if several versions of the package are locked. */
  readonly dependencies?: readonly string[];
}

export interface Lock {
  /** Versions by the specifier in the import map. */
  readonly specifiers: Readonly<Record<string, string>>;
  /** Packages by name@version. The key can end in `_` and the resolved peer dependencies. */
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

/**
 * @param mavenList output of `mvn dependency:list`, with the absolute path of each jar
 * @param sha512 returns the hexadecimal hash of a file
 * @returns CycloneDX 1.6 JSON, the same for the same input
 */
export function billOfMaterials(lock: Lock, mavenList: string, sha512: (path: string) => string): string {
  const bom = new Models.Bom();
  const heartbeat = new Models.Component(Enums.ComponentType.Application, "heartbeat", {
    bomRef: "heartbeat",
  });
  bom.metadata.component = heartbeat;
  const packages = new Map<string, Models.Component>();
  for (const [key, { integrity }] of Object.entries(lock.npm)) {
    const { name, version } = split(key);
    if (packages.has(`${name}@${version}`)) continue;
    const component = npmComponent(name, version, integrity);
    packages.set(`${name}@${version}`, component);
    bom.components.add(component);
  }
  const find = (text: string) => {
    const { name, version } = split(text);
    const component = version === ""
      ? [...packages].find(([key]) => split(key).name === name)?.[1]
      : packages.get(`${name}@${version}`);
    if (component === undefined) {
      throw new TypeError(`deno.lock has no package ${text}, but another one depends on it`);
    }
    return component;
  };
  for (const [key, { dependencies = [] }] of Object.entries(lock.npm)) {
    const own = find(key);
    for (const dependency of dependencies) own.dependencies.add(find(dependency).bomRef);
  }
  for (const [specifier, version] of Object.entries(lock.specifiers)) {
    heartbeat.dependencies.add(find(`${split(specifier.replace(/^npm:/, "")).name}@${version}`).bomRef);
  }
  for (const jar of jarsOf(mavenList, sha512)) {
    bom.components.add(jar);
    heartbeat.dependencies.add(jar.bomRef);
  }
  const factory = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6);
  return `${new Serialize.JsonSerializer(factory).serialize(bom, { sortLists: true, space: 2 })}\n`;
}

/** Ignores the peer dependencies: "@scope/name@1.2.3_peer@4" is version 1.2.3. */
function split(key: string): { name: string; version: string } {
  const at = key.indexOf("@", 1);
  if (at < 0) return { name: key, version: "" };
  return { name: key.slice(0, at), version: key.slice(at + 1).replace(/_.*$/, "") };
}

function npmComponent(name: string, version: string, integrity: string | undefined): Models.Component {
  const [scope, short] = name.startsWith("@") ? name.split("/") : [undefined, name];
  const purl = `pkg:npm/${name.replace(/^@/, "%40")}@${version}`;
  const component = new Models.Component(Enums.ComponentType.Library, short ?? name, {
    version,
    bomRef: purl,
    purl,
  });
  if (scope !== undefined) component.group = scope;
  const sha512 = /^sha512-(.+)$/.exec(integrity ?? "")?.[1];
  if (sha512 !== undefined) {
    component.hashes.set(Enums.HashAlgorithm["SHA-512"], Buffer.from(sha512, "base64").toString("hex"));
  }
  return component;
}

function jarsOf(list: string, sha512: (path: string) => string): Models.Component[] {
  // Example: org.apache.kafka:kafka-clients:jar:4.4.0:compile:/m2/kafka-clients-4.4.0.jar -- module kafka.clients (auto)
  const line =
    /^\s*([\w.-]+):([\w.-]+):jar:(?:[\w.-]+:)?([\w.-]+):(?:compile|runtime):(.+?\.jar)(?: -- module .*)?\s*$/gm;
  return [...list.matchAll(line)].map(([, group = "", name = "", version = "", path = ""]) => {
    const purl = `pkg:maven/${group}/${name}@${version}`;
    const jar = new Models.Component(Enums.ComponentType.Library, name, {
      group,
      version,
      bomRef: purl,
      purl,
    });
    jar.hashes.set(Enums.HashAlgorithm["SHA-512"], sha512(path));
    return jar;
  });
}
