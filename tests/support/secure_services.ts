import { join } from "node:path";
import { kafkaListeners } from "../../stack/kafka/kafka_listeners.ts";
import { setScramPassword } from "../../stack/kafka/kafka_tools.ts";
import { type Stack, startStack } from "../../stack/mod.ts";
import type { PostgresTls } from "../../stack/postgres/postgres_tls.ts";
import { Authority } from "./certificates.ts";
import { SharedServers } from "./services.ts";

export const LOCAL_NAMES = ["localhost", "127.0.0.1"];
// Characters that are special in a URL, in a SASL name or in a shell.
export const SASL_USER = "heart, beat=1";
export const SASL_PASSWORD = 'p@ss word/"ä';

export type Listener = "SASL" | "MUTUAL" | "EXPIRED" | "ELSEWHERE" | "CLEAR";

export interface SecureStack extends Stack {
  /** host:port of each Kafka listener. */
  readonly listeners: Readonly<Record<Listener, string>>;
  readonly authority: Authority;
  /** The settings that PostgreSQL starts with. */
  readonly postgresTls: PostgresTls;
  readonly files: {
    /** Paths of PEM files for clients. No server trusts or uses the authority `stranger`. */
    readonly authority: string;
    readonly stranger: string;
    readonly certificate: string;
    readonly key: string;
    readonly strangersCertificate: string;
    readonly strangersKey: string;
  };
}

export const secure = new SharedServers<SecureStack>(startSecureServers);

async function startSecureServers(home: string): Promise<SecureStack> {
  const folder = join(home, "certificates");
  await Deno.mkdir(folder, { mode: 0o700 });
  const authority = new Authority("Heartbeat test authority");
  const stranger = new Authority("Somebody else");
  const server = authority.issue("server", { names: LOCAL_NAMES });
  const client = authority.issue("client");
  const strange = stranger.issue("client");
  const write = async (name: string, text: string) => {
    const path = join(folder, name);
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    return path;
  };
  const listeners = await kafkaListeners(folder, {
    SASL: { protocol: "SASL_SSL", ...server, plainUsers: { plain: "plain-password-1" } },
    MUTUAL: { protocol: "SSL", ...server, clientAuthority: authority.certificate },
    EXPIRED: {
      protocol: "SSL",
      ...authority.issue("expired", { names: LOCAL_NAMES, fromDay: -9, toDay: -1 }),
    },
    ELSEWHERE: { protocol: "SSL", ...authority.issue("elsewhere", { names: ["kafka.example"] }) },
    CLEAR: { protocol: "SASL_PLAINTEXT" },
  });
  const postgresTls = { ...server, clientAuthority: authority.certificate };
  const stack = await startStack({ home, kafkaConfig: listeners.config, postgresTls });
  await setScramPassword(stack.kafkaBootstrapServers, SASL_USER, SASL_PASSWORD);
  const files = {
    authority: await write("authority.pem", authority.certificate),
    stranger: await write("stranger.pem", stranger.certificate),
    certificate: await write("client.pem", client.certificate),
    key: await write("client.key", client.key),
    strangersCertificate: await write("strange.pem", strange.certificate),
    strangersKey: await write("strange.key", strange.key),
  };
  const { authority: sslrootcert, certificate: sslcert, key: sslkey } = files;
  const databaseUrl = withTls(stack.databaseUrl, { sslrootcert, sslcert, sslkey });
  const added = { databaseUrl, listeners: listeners.servers, authority, postgresTls, files };
  const properties = Object.entries(added).map(([name, value]) => [name, { value }]);
  return Object.create(stack, Object.fromEntries(properties));
}

/** The URL with sslmode=verify-full, unless `parameters` say otherwise. */
export function withTls(url: string, parameters: Readonly<Record<string, string>>): string {
  const secure = new URL(url);
  for (const [name, value] of Object.entries({ sslmode: "verify-full", ...parameters })) {
    secure.searchParams.set(name, value);
  }
  return secure.href;
}
