import { join } from "node:path";
import type { OsUser } from "../process/child.ts";

export interface PostgresTls {
  /** In PEM. The server's certificate comes first. */
  readonly certificate: string;
  readonly key: string;
  /** In PEM. This authority signs the certificates of clients. */
  readonly clientAuthority: string;
  /** If true, clients must present a certificate in addition to their password. */
  readonly asksForCertificate?: boolean;
}

/**
 * Writes certificates, key and access rules. A running server loads replaced files with pg_reload_conf().
 *
 * @param folder a folder that `user` may read
 * @returns the server settings that name the files
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
        // The superuser needs no TLS: the stack and tests connect as superuser.
        "host    all postgres 127.0.0.1/32 scram-sha-256",
        `hostssl all all      127.0.0.1/32 scram-sha-256${clients}`,
      ].map((line) => `${line}\n`).join(""),
    ),
  };
}
