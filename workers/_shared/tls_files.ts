/** Reads PEM files that settings name. Finds problems at the start, where the message can name the setting. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

/** `label` is the setting's name in messages. */
interface NamedFile {
  readonly label: string;
  readonly path: string | undefined;
}

/** Without a path, `authorities` are those that Deno trusts. */
interface TlsFiles extends Readonly<Record<"authorities" | "certificate" | "key", NamedFile>> {
  /** If undefined, the key must not be encrypted. */
  readonly keyPassword?: { readonly label: string; readonly value: string | undefined };
}

/** Options of `node:tls`. */
export type TlsOptions = Readonly<Partial<Record<"ca" | "cert" | "key", string>>>;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** @param problems receives a line for each problem; if there are any, the result must not be used */
export function readTlsFiles(
  problems: string[],
  readFile: (path: string) => string,
  files: TlsFiles,
): TlsOptions {
  const { authorities, certificate, key, keyPassword } = files;
  const [ca, cert, keyText] = [authorities, certificate, key].map(({ label, path }) => {
    try {
      return path === undefined ? undefined : readFile(path);
    } catch {
      problems.push(`${label}: cannot read ${path}, expected a readable PEM file`);
      return undefined;
    }
  });
  if (ca !== undefined) certificatesIn(ca, authorities, problems);
  const [leaf] = cert === undefined ? [] : certificatesIn(cert, certificate, problems);
  for (const [given, missing] of [[certificate, key], [key, certificate]] as const) {
    if (given.path === undefined || missing.path !== undefined) continue;
    problems.push(`${missing.label}: is missing, expected with ${given.label}`);
  }
  if (keyPassword?.value !== undefined && key.path === undefined) {
    problems.push(`${keyPassword.label}: is set, expected only with ${key.label}`);
  }
  const privateKey = keyText === undefined ? undefined : privateKeyIn(keyText, files, problems);
  if (
    leaf !== undefined && privateKey !== undefined && !leaf.checkPrivateKey(privateKey)
  ) {
    problems.push(`${key.label}: does not belong to the certificate in ${certificate.path}`);
  }
  // Decrypted here, because Deno's TLS has no option for the key's password.
  const decrypted = privateKey?.export({ type: "pkcs8", format: "pem" }).toString();
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(decrypted === undefined ? {} : { key: decrypted }),
  };
}

function certificatesIn(text: string, { label, path }: NamedFile, problems: string[]): X509Certificate[] {
  const found = [...text.matchAll(CERTIFICATE)].map(([block]) => block);
  try {
    if (found.length === 0) throw new TypeError("no certificate");
    return found.map((block) => new X509Certificate(block));
  } catch {
    problems.push(
      `${label}: ${path} has no readable certificate, expected -----BEGIN CERTIFICATE----- (PEM)`,
    );
    return [];
  }
}

function privateKeyIn(
  text: string,
  { key: { label, path }, keyPassword }: TlsFiles,
  problems: string[],
): KeyObject | undefined {
  const encrypted = /ENCRYPTED/.test(text);
  if (encrypted && keyPassword?.value === undefined) {
    problems.push(
      keyPassword === undefined
        ? `${label}: the key in ${path} is encrypted, expected a key without a password`
        : `${keyPassword.label}: is missing, expected since the key in ${path} is encrypted`,
    );
    return undefined;
  }
  try {
    return createPrivateKey(encrypted ? { key: text, passphrase: keyPassword?.value ?? "" } : { key: text });
  } catch {
    problems.push(
      encrypted
        ? `${keyPassword?.label}: does not open the key in ${path} (not shown)`
        : `${label}: ${path} has no readable private key, expected -----BEGIN PRIVATE KEY----- (PEM)`,
    );
    return undefined;
  }
}
