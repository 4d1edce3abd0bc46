import "reflect-metadata";
import type { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";

/** A certificate and its key, PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

const CURVE = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
/** An authority outlives every fleet's hardware; it is exchanged by hand (`fleet rotate-certs --authority`). */
const AUTHORITY_DAYS = 3_650;
/** Hosts whose clocks are behind take a new certificate at once. */
const BACKDATE_MS = 3_600_000;

/** A new authority of a fleet: signs certificates of its nodes, and nothing below them. */
export async function makeAuthority(fleet: string, now: Date): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // Two authorities of one fleet stand side by side while one follows the other: the day tells them apart.
    name: new x509.Name([
      { O: [fleet] },
      { CN: [`${fleet} fleet authority ${now.toISOString().slice(0, 19)}Z`] },
    ]),
    serialNumber: serial(),
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: CURVE,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pem(certificate), key: await keyPem(keys.privateKey) };
}

export interface LeafRequest {
  readonly fleet: string;
  /** Common name: a node's id. */
  readonly name: string;
  /** DNS names and IP addresses under which it is called. */
  readonly addresses: readonly string[];
  readonly days: number;
}

/** A certificate for both sides of a connection, signed by the authority. The key is made here. */
export async function issue(
  authority: KeyPair,
  { fleet, name, addresses, days }: LeafRequest,
  now: Date,
): Promise<KeyPair> {
  const issuer = new x509.X509Certificate(authority.cert);
  const signingKey = await crypto.subtle.importKey("pkcs8", der(authority.key), CURVE, false, [
    "sign",
  ]);
  const keys = await crypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);
  const names = [...new Set(addresses)].map((value) => ({
    type: isIP(value) ? ("ip" as const) : ("dns" as const),
    value,
  }));
  const certificate = await x509.X509CertificateGenerator.create({
    subject: new x509.Name([{ O: [fleet] }, { CN: [name] }]),
    issuer: issuer.subjectName,
    serialNumber: serial(),
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + days * DAY_MS),
    signingAlgorithm: CURVE,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(names),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pem(certificate), key: await keyPem(keys.privateKey) };
}

const pem = (certificate: x509.X509Certificate) => `${certificate.toString("pem")}\n`;

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

function der(text: string): ArrayBuffer {
  const [first] = x509.PemConverter.decode(text);
  if (!first) throw new Error("the key of the fleet's authority is not PEM");
  return first;
}

/** 16 random bytes, the first bit clear: a serial number is a positive integer. */
function serial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x01;
  return Buffer.from(bytes).toString("hex");
}
