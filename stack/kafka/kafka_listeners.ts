import { join } from "node:path";
import { freePort, HOST } from "../network/ports.ts";

export interface KafkaListener {
  readonly protocol: "SSL" | "SASL_SSL" | "SASL_PLAINTEXT";
  /** For SSL, in PEM. The broker's certificate comes first, then its chain. The key is unencrypted PKCS #8. */
  readonly certificate?: string;
  readonly key?: string;
  /** In PEM. If it is set, clients must present a certificate of this authority. */
  readonly clientAuthority?: string;
  /** Passwords for SASL PLAIN, by user. `setScramPassword` sets passwords for SCRAM while the broker runs. */
  readonly plainUsers?: Readonly<Record<string, string>>;
}

export interface KafkaListeners {
  readonly config: Readonly<Record<string, string>>;
  /** Addresses (host:port), by listener. */
  readonly servers: Readonly<Record<string, string>>;
}

/**
 * Configures listeners with encryption or authentication, in addition to the plain listener that the stack itself uses.
 *
 * @param folder an existing folder for keys and certificates, which only this user can read
 * @param listeners by name; a name consists of letters
 */
export async function kafkaListeners(
  folder: string,
  listeners: Readonly<Record<string, KafkaListener>>,
): Promise<KafkaListeners> {
  const servers: Record<string, string> = {};
  const config: Record<string, string> = {};
  for (const [name, listener] of Object.entries(listeners)) {
    servers[name] = `${HOST}:${await freePort()}`;
    const prefix = `listener.name.${name.toLowerCase()}`;
    const keep = async (what: string, text: string) => {
      const path = join(folder, `${name.toLowerCase()}-${what}.pem`);
      await Deno.writeTextFile(path, text, { mode: 0o600 });
      return path;
    };
    if (listener.certificate !== undefined && listener.key !== undefined) {
      config[`${prefix}.ssl.keystore.type`] = "PEM";
      config[`${prefix}.ssl.keystore.location`] = await keep("key", listener.key + listener.certificate);
    }
    if (listener.clientAuthority !== undefined) {
      config[`${prefix}.ssl.truststore.type`] = "PEM";
      config[`${prefix}.ssl.truststore.location`] = await keep("clients", listener.clientAuthority);
      config[`${prefix}.ssl.client.auth`] = "required";
    }
    if (listener.protocol.startsWith("SASL")) Object.assign(config, saslConfig(prefix, listener));
  }
  const list = (text: (name: string) => string) => Object.keys(listeners).map(text).join(",");
  config["listeners"] = list((name) => `${name}://${servers[name]}`);
  config["advertised.listeners"] = config["listeners"];
  config["listener.security.protocol.map"] = list((name) => `${name}:${listeners[name]?.protocol}`);
  return { config, servers };
}

function saslConfig(prefix: string, { plainUsers = {} }: KafkaListener): Record<string, string> {
  const module = "org.apache.kafka.common.security";
  const users = Object.entries(plainUsers).map(([user, password]) => ` user_${user}="${password}"`);
  return {
    [`${prefix}.sasl.enabled.mechanisms`]: "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    [`${prefix}.plain.sasl.jaas.config`]: `${module}.plain.PlainLoginModule required${users.join("")};`,
    [`${prefix}.scram-sha-256.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
    [`${prefix}.scram-sha-512.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
  };
}
