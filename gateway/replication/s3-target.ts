import { createHash } from "node:crypto";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { ShardId } from "../contract.ts";
import { checkKey } from "./file-target.ts";
import { type CredentialSource, credentialSource } from "./s3-credentials.ts";
import { queryString, type S3Request, signed } from "./s3-sign.ts";
import type { S3TargetConfig } from "./settings.ts";
import { type ReplicaTarget, type StoredObject, TargetUnavailable } from "./target.ts";

/** A request without a sign of life for this long is given up, ms. */
const SILENCE_MS = 10_000;
/** S3 asks to slow down with 503, and its own faults pass: pauses before the next tries, ms. */
const RETRY_MS = [100, 400, 1_600];
const SOCKETS = 16;
/** Most keys of one removal (docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html). */
const REMOVE_AT_ONCE = 1_000;

interface Answer {
  status: number;
  body: Buffer;
}

/** Opens a bucket: one client and one set of connections for the replicas of all shards. */
export function openS3Target(config: S3TargetConfig): (shard: ShardId) => ReplicaTarget {
  const bucket = new Bucket(config);
  return (shard) => new S3Target(bucket, `${config.prefix}${shard}/`);
}

/** Requests to one bucket. */
class Bucket {
  readonly name: string;
  readonly #config: S3TargetConfig;
  readonly #credentials: CredentialSource;
  readonly #url: URL;
  readonly #root: string;
  readonly #agent: HttpAgent | HttpsAgent;

  constructor(config: S3TargetConfig) {
    const { bucket, region, endpoint } = config;
    this.#config = config;
    this.name = `the bucket ${bucket}`;
    this.#credentials = credentialSource(config.credentialsFile);
    this.#url = new URL(endpoint ?? `https://${bucket}.s3.${region}.amazonaws.com`);
    this.#root = endpoint ? `${this.#url.pathname.replace(/\/$/, "")}/${bucket}/` : "/";
    const Agent = this.#url.protocol === "http:" ? HttpAgent : HttpsAgent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: SOCKETS });
  }

  /** Throws when no answer came, or one that is none of `expected`. */
  async send(
    request: Pick<S3Request, "method"> & Partial<S3Request> & { key?: string },
    expected: readonly number[],
  ): Promise<Answer> {
    for (let tries = 0; ; tries++) {
      const pause = RETRY_MS[tries];
      try {
        const answer = await this.#once(request);
        if (expected.includes(answer.status)) return answer;
        const passes = answer.status >= 500 || answer.status === 409 || answer.status === 429;
        if (!passes || pause === undefined) {
          throw new Error(`it answered ${answer.status}${wordsOf(answer)}`);
        }
      } catch (error) {
        // A connection that was idle may be closed by the other side at the moment it is used.
        const closed = (error as NodeJS.ErrnoException).code === "ECONNRESET";
        if (!closed || pause === undefined) throw error;
      }
      await sleep(pause);
    }
  }

  async #once({
    method,
    key = "",
    query = {},
    headers = {},
    body = Buffer.alloc(0),
  }: Pick<S3Request, "method"> & Partial<S3Request> & { key?: string }): Promise<Answer> {
    const whole: S3Request = {
      method,
      host: this.#url.host,
      path: this.#root + key,
      query,
      headers: { ...headers, "content-length": String(body.length) },
      body,
    };
    const all = signed(whole, await this.#credentials(), this.#config.region, new Date());
    const text = queryString(query);
    const options = {
      method,
      host: this.#url.hostname,
      port: this.#url.port || undefined,
      path: text === "" ? whole.path : `${whole.path}?${text}`,
      headers: all,
      agent: this.#agent,
      timeout: SILENCE_MS,
    };
    const send = this.#url.protocol === "http:" ? httpRequest : httpsRequest;
    return new Promise((resolve, reject) => {
      const request = send(options, (response: IncomingMessage) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) });
        });
      });
      request.on("timeout", () => {
        request.destroy(new Error(`no answer for ${SILENCE_MS / 1_000} s`));
      });
      request.on("error", reject);
      request.end(body);
    });
  }
}

/**
 * A replica in a bucket. Nothing there can refuse an old owner's late write, which a seal makes harmless; that a key is
 * written once is S3's own condition (docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
 */
class S3Target implements ReplicaTarget {
  readonly name: string;
  readonly refusesOldEpochs = false;
  readonly #bucket: Bucket;
  readonly #prefix: string;

  constructor(bucket: Bucket, prefix: string) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.name = `${bucket.name}, ${prefix}`;
  }

  put(key: string, bytes: Uint8Array): Promise<"stored" | "exists"> {
    return this.#reach(async () => {
      checkKey(key);
      const { status } = await this.#bucket.send(
        {
          method: "PUT",
          key: this.#prefix + key,
          headers: { "if-none-match": "*", "content-type": "application/octet-stream" },
          body: bytes,
        },
        [200, 412],
      );
      return status === 200 ? "stored" : "exists";
    });
  }

  get(key: string): Promise<Buffer | null> {
    return this.#reach(async () => {
      checkKey(key);
      const request = { method: "GET", key: this.#prefix + key } as const;
      const { status, body } = await this.#bucket.send(request, [200, 404]);
      if (status === 200) return body;
      // A bucket that is gone holds no proof that the key was never written.
      if (/<Code>NoSuchBucket</.test(body.toString())) throw new Error("there is no such bucket");
      return null;
    });
  }

  list(prefix: string): Promise<StoredObject[]> {
    return this.#reach(async () => {
      if (prefix !== "") checkKey(prefix.slice(0, -1));
      const found: StoredObject[] = [];
      for (let token: string | null = ""; token !== null; ) {
        const query: Record<string, string> = { "list-type": "2", prefix: this.#prefix + prefix };
        if (token !== "") query["continuation-token"] = token;
        const { body } = await this.#bucket.send({ method: "GET", query }, [200]);
        const page = readPage(body.toString());
        for (const object of page.objects) {
          found.push({ ...object, key: object.key.slice(this.#prefix.length) });
        }
        token = page.next;
      }
      return found;
    });
  }

  remove(keys: readonly string[]): Promise<void> {
    return this.#reach(async () => {
      for (const key of keys) checkKey(key);
      for (let at = 0; at < keys.length; at += REMOVE_AT_ONCE) {
        const objects = keys
          .slice(at, at + REMOVE_AT_ONCE)
          .map((key) => `<Object><Key>${this.#prefix}${key}</Key></Object>`);
        const body = Buffer.from(`<Delete><Quiet>true</Quiet>${objects.join("")}</Delete>`);
        const digest = createHash("md5").update(body).digest("base64");
        const headers = { "content-md5": digest, "content-type": "application/xml" };
        const answer = await this.#bucket.send(
          { method: "POST", query: { delete: "" }, headers, body },
          [200],
        );
        const fault = /<Error>.*?<Code>([^<]*)/s.exec(answer.body.toString())?.[1];
        if (fault && fault !== "NoSuchKey") throw new Error(`it refused to remove: ${fault}`);
      }
      await this.#bucket.send(
        { method: "GET", query: { "list-type": "2", "max-keys": "1" } },
        [200],
      );
    });
  }

  async #reach<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RangeError) throw error;
      throw new TargetUnavailable(`${this.name}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** One page of a listing (ListObjectsV2). Keys are of characters that need no escaping. */
export function readPage(xml: string): { objects: StoredObject[]; next: string | null } {
  const field = (text: string, name: string) =>
    new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
  const objects = [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, text = ""]) => ({
    key: field(text, "Key") ?? "",
    bytes: Number(field(text, "Size")),
    storedAtMs: Date.parse(field(text, "LastModified") ?? ""),
  }));
  if (!/<ListBucketResult/.test(xml)) throw new Error("its listing cannot be read");
  const more = field(xml, "IsTruncated") === "true";
  return {
    objects,
    next: more ? plain(field(xml, "NextContinuationToken") ?? "") || null : null,
  };
}

/** A continuation token may hold what XML escapes. */
function plain(text: string): string {
  const names: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => names[name] ?? "");
}

function wordsOf({ body }: Answer): string {
  const text = body.toString();
  const code = /<Code>([^<]*)</.exec(text)?.[1];
  const message = /<Message>([^<]*)</.exec(text)?.[1];
  return code ? ` (${code}${message ? `: ${message}` : ""})` : "";
}
