/** What PostgreSQL needs to speak TLS: files that only it may read, and rules of who has to come by it. */
import { join } from "node:path";
import type { OsUser } from "../process/child.ts";

export interface PostgresTls {
  /** PEM, the server's own first. */
  readonly certificate: string;
  readonly key: string;
  /** PEM: of the certificates that clients show. */
  readonly clientAuthority: string;
  /** Whether clients have to show one, beside their password. */
  readonly asksForCertificate?: boolean;
}

/**
 * Writes the files, over older ones when there are some: a server that runs takes them with pg_reload_conf().
 *
 * @param folder where the server's user may read
 * @param user who the server runs as; undefined: as whoever runs this
 * @returns the settings of the server that name them
 */
export async function writePostgresTls(
  folder: string,
  user: OsUser | undefined,
  { certificate, key, clientAuthority, asksForCertificate = false }: PostgresTls,
): Promise<Readonly<Record<string, string>>> {
  const write = async (name: string, text: string) => {
    const path = join(folder, name);
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    if (user !== undefined) await Deno.chown(path, user.uid, user.gid);
    return path;
  };
  const clients = asksForCertificate ? " clientcert=verify-ca" : "";
  return {
    ssl: "on",
    ssl_cert_file: await write("server.crt", certificate),
    ssl_key_file: await write("server.key", key),
    ssl_ca_file: await write("clients.crt", clientAuthority),
    hba_file: await write(
      "hba.conf",
      [
        // The stack's own checks, and tests that disturb.
        "host    all postgres 127.0.0.1/32 scram-sha-256",
        `hostssl all all      127.0.0.1/32 scram-sha-256${clients}`,
      ].map((line) => `${line}\n`).join(""),
    ),
  };
}
