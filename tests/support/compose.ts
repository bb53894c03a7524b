/** The services, networks and volumes of docker-compose.yml. */
import { ok } from "node:assert";
import { parse } from "yaml";

export const ROOT = new URL("../../", import.meta.url);

export interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly target: string };
  readonly container_name?: string;
  readonly command?: readonly string[];
  readonly restart?: string;
  readonly profiles?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[]; readonly start_period: string };
  readonly logging?: { readonly options: Readonly<Record<string, string>> };
  readonly mem_limit?: string;
  readonly memswap_limit?: string;
  readonly init?: boolean;
  readonly tmpfs?: readonly string[];
  readonly network_mode?: string;
  readonly deploy?: { readonly replicas: string };
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
}

export async function text(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

export const source = await text("docker-compose.yml");
export const compose: {
  services: Record<string, Service>;
  networks: Record<string, { ipam: { config: { subnet: string }[] } }>;
  volumes: Record<string, null>;
} = parse(source, { merge: true });
export const services = Object.entries(compose.services);
export const dockerfile = await text("Dockerfile");

export function service(name: string): Service {
  const found = compose.services[name];
  ok(found, `docker-compose.yml has no service ${name}`);
  return found;
}
