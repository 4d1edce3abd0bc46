import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const ALIAS = "alias/openclaw-fleet-state";
const BEGIN = Buffer.from("kms1");

/** As much of KMS as Pulumi's secrets provider uses: one key, which encrypts and decrypts. */
export class Kms {
  readonly calls: string[] = [];
  /** Without the right to decrypt. */
  denied = false;
  readonly #key = randomBytes(32);
  #server: Server | undefined;
  #port = 0;

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
    await new Promise<void>((done) => this.#server?.listen(0, "127.0.0.1", done));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  /** As `--secrets-provider` names it. */
  readonly provider = `awskms://${ALIAS}?region=eu-central-1`;

  /** Environment in which the AWS SDK finds it. */
  get env(): NodeJS.ProcessEnv {
    return {
      AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
      AWS_SECRET_ACCESS_KEY: "for-this-test-only",
      AWS_ENDPOINT_URL_KMS: `http://127.0.0.1:${this.#port}`,
    };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const asked = JSON.parse(Buffer.concat(parts).toString()) as Record<string, string>;
    const operation = String(request.headers["x-amz-target"]).split(".").at(-1) as string;
    this.calls.push(operation);
    const reply = (status: number, body: object) => {
      response.writeHead(status, { "content-type": "application/x-amz-json-1.1" });
      response.end(JSON.stringify(body));
    };
    const refuse = (type: string) => reply(400, { __type: type, message: "refused" });
    if (!/AWS4-HMAC-SHA256 .*\/kms\//.test(request.headers.authorization ?? "")) {
      return refuse("MissingAuthenticationToken");
    }
    if (asked.KeyId !== undefined && asked.KeyId !== ALIAS) return refuse("NotFoundException");
    if (operation === "Encrypt") {
      const sealed = this.#encrypt(Buffer.from(asked.Plaintext ?? "", "base64"));
      return reply(200, { CiphertextBlob: sealed.toString("base64"), KeyId: ALIAS });
    }
    if (operation !== "Decrypt") return refuse("UnknownOperationException");
    if (this.denied) return refuse("AccessDeniedException");
    const opened = this.#decrypt(Buffer.from(asked.CiphertextBlob ?? "", "base64"));
    if (opened === null) return refuse("InvalidCiphertextException");
    reply(200, { Plaintext: opened.toString("base64"), KeyId: ALIAS });
  }

  #encrypt(plain: Buffer): Buffer {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce);
    const body = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([BEGIN, nonce, cipher.getAuthTag(), body]);
  }

  #decrypt(sealed: Buffer): Buffer | null {
    if (!sealed.subarray(0, 4).equals(BEGIN)) return null;
    const cipher = createDecipheriv("aes-256-gcm", this.#key, sealed.subarray(4, 16));
    cipher.setAuthTag(sealed.subarray(16, 32));
    return Buffer.concat([cipher.update(sealed.subarray(32)), cipher.final()]);
  }
}
