import { generateKeyPairSync } from "node:crypto";

/** A key pair as OpenSSH and its clients read it. */
export interface SshKey {
  /** PEM (SEC 1), for `IdentityFile` or `HostKey`. */
  readonly key: string;
  /** One line, for `authorized_keys` and `known_hosts`. */
  readonly pub: string;
}

const TYPE = "ecdsa-sha2-nistp256";

/** A new key. ECDSA, because Node writes its PEM in the form that OpenSSH has always read. */
export function makeSshKey(): SshKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x, y } = publicKey.export({ format: "jwk" });
  const point = Buffer.concat([Buffer.from([4]), coordinate(x), coordinate(y)]);
  const blob = Buffer.concat([TYPE, "nistp256", point].map(sshString));
  return {
    key: privateKey.export({ format: "pem", type: "sec1" }) as string,
    pub: `${TYPE} ${blob.toString("base64")}`,
  };
}

const coordinate = (text: string | undefined) => Buffer.from(text ?? "", "base64url");

/** RFC 4251, section 5: length, then bytes. */
function sshString(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
