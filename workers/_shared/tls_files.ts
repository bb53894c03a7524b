/** PEM files that settings name: read, and refused at the start when TLS would refuse them later, less clearly. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

/** A path, and how the setting that gives it is called in messages. */
interface NamedFile {
  readonly label: string;
  readonly path: string | undefined;
}

/** The authorities to trust, without a path those that Deno brings; what we show, its own authorities behind it. */
interface TlsFiles extends Readonly<Record<"authorities" | "certificate" | "key", NamedFile>> {
  readonly keyPassword: { readonly label: string; readonly value: string | undefined };
}

/** As `node:tls` takes it. */
export type TlsOptions = Readonly<Partial<Record<"ca" | "cert" | "key", string>>>;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Reads the files of one connection.
 *
 * @param problems receives a line for each thing that is wrong: then the options are not to be used
 */
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
  const [own] = cert === undefined ? [] : certificatesIn(cert, certificate, problems);
  for (const [one, other] of [[certificate, key], [key, certificate]] as const) {
    if (one.path === undefined || other.path !== undefined) continue;
    problems.push(`${other.label}: is missing, expected with ${one.label}`);
  }
  if (keyPassword.value !== undefined && key.path === undefined) {
    problems.push(`${keyPassword.label}: is set, expected only with ${key.label}`);
  }
  const privateKey = keyText === undefined ? undefined : privateKeyIn(keyText, files, problems);
  if (own !== undefined && privateKey !== undefined && !own.checkPrivateKey(privateKey)) {
    problems.push(`${key.label}: does not belong to the certificate in ${certificate.path}`);
  }
  // Decrypted here: the TLS below takes no password.
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
  if (encrypted && keyPassword.value === undefined) {
    problems.push(`${keyPassword.label}: is missing, expected since the key in ${path} is encrypted`);
    return undefined;
  }
  try {
    return createPrivateKey(encrypted ? { key: text, passphrase: keyPassword.value ?? "" } : { key: text });
  } catch {
    problems.push(
      encrypted
        ? `${keyPassword.label}: does not open the key in ${path} (not shown)`
        : `${label}: ${path} has no readable private key, expected -----BEGIN PRIVATE KEY----- (PEM)`,
    );
    return undefined;
  }
}
