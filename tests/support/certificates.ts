import { generateKeyPairSync, randomBytes } from "node:crypto";
import { isIP } from "node:net";
// @ts-types="@types/node-forge"
import forge from "node-forge";

/** Certificate and key in PEM. The key is unencrypted PKCS #8. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** Host names and IP addresses. */
  readonly names?: readonly string[];
  /** Days from now; negative for the past. */
  readonly fromDay?: number;
  readonly toDay?: number;
}

const DAY_MS = 86_400_000;

/** A certificate authority for one test. */
export class Authority {
  readonly certificate: string;
  readonly #key: forge.pki.rsa.PrivateKey;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
    const { publicPem, privatePem } = newKey();
    this.#key = forge.pki.privateKeyFromPem(privatePem);
    this.certificate = sign({ publicPem, subject: name }, { name, key: this.#key }, {}, [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ]);
  }

  issue(subject: string, options: CertificateOptions = {}): Identity {
    const { publicPem, privatePem } = newKey();
    const altNames = (options.names ?? []).map((name) => {
      return isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name };
    });
    const certificate = sign({ publicPem, subject }, { name: this.#name, key: this.#key }, options, [
      { name: "basicConstraints", cA: false },
      { name: "keyUsage", digitalSignature: true, keyEncipherment: true },
      { name: "extKeyUsage", serverAuth: true, clientAuth: true },
      ...(altNames.length === 0 ? [] : [{ name: "subjectAltName", altNames }]),
    ]);
    return { certificate, key: privatePem };
  }
}

// node-forge can make keys too, but it takes seconds for each.
function newKey(): { publicPem: string; privatePem: string } {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { publicPem: publicKey, privatePem: privateKey };
}

function sign(
  { publicPem, subject }: { readonly publicPem: string; readonly subject: string },
  issuer: { readonly name: string; readonly key: forge.pki.rsa.PrivateKey },
  { fromDay = -1, toDay = 1 }: CertificateOptions,
  extensions: object[],
): string {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicPem);
  // Positive because of its first byte, and unique per authority, as X.509 requires.
  certificate.serialNumber = `01${randomBytes(8).toString("hex")}`;
  certificate.validity.notBefore = new Date(Date.now() + fromDay * DAY_MS);
  certificate.validity.notAfter = new Date(Date.now() + toDay * DAY_MS);
  certificate.setSubject([{ name: "commonName", value: subject }]);
  certificate.setIssuer([{ name: "commonName", value: issuer.name }]);
  certificate.setExtensions(extensions);
  certificate.sign(issuer.key, forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n");
}
