import { generateKeyPairSync, sign } from "node:crypto";

/** A self-signed certificate of 127.0.0.1 and its key, PEM, good for a day around now. */
export function selfSigned(): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ecdsaSha256 = seq(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
  const name = seq(der(0x31, seq(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from("test")))));
  const day = 24 * 3600 * 1000;
  const time = (ms: number) =>
    der(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "")}`));
  const address = der(0x87, Buffer.from([127, 0, 0, 1]));
  const extension = (id: Buffer, value: Buffer) => seq(id, der(0x04, value));
  const body = seq(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ecdsaSha256,
    name,
    seq(time(Date.now() - day), time(Date.now() + day)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      seq(
        extension(oid(0x55, 0x1d, 0x11), seq(address)),
        extension(oid(0x55, 0x1d, 0x13), seq(der(0x01, Buffer.from([0xff])))),
      ),
    ),
  );
  const signature = sign("sha256", body, privateKey);
  const cert = seq(body, ecdsaSha256, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = cert.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n"),
  };
}

const oid = (...bytes: number[]) => der(0x06, Buffer.from(bytes));
const seq = (...parts: Buffer[]) => der(0x30, ...parts);

/** Tag, length, value (X.690). */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  const { length } = value;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), value]);
}
