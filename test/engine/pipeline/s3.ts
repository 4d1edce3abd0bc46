import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** As much of S3 as Pulumi's backend uses: one bucket, objects in memory, lists by prefix. */
export class S3 {
  readonly objects = new Map<string, { body: Buffer; headers: Record<string, string> }>();
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

  /** For PULUMI_BACKEND_URL. */
  get url(): string {
    return `s3://states?region=eu-central-1&endpoint=http://127.0.0.1:${this.#port}&use_path_style=true&awssdk=v2`;
  }

  readonly credentials = {
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "for-this-test-only",
    AWS_REQUEST_CHECKSUM_CALCULATION: "when_required",
    AWS_RESPONSE_CHECKSUM_VALIDATION: "when_required",
  };

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://s3");
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = unchunked(Buffer.concat(parts), request.headers["content-encoding"]);
    const key = decodeURIComponent(url.pathname.replace(/^\/states\/?/, ""));
    const xml = (status: number, text: string) => {
      response.writeHead(status, { "content-type": "application/xml" });
      response.end(`<?xml version="1.0" encoding="UTF-8"?>${text}`);
    };
    const missing = () => xml(404, "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>");
    if (!request.headers.authorization) return xml(403, "<Error><Code>AccessDenied</Code></Error>");
    if (key === "" && request.method === "GET") return xml(200, this.#list(url.searchParams));
    if (request.method === "PUT") {
      const source = request.headers["x-amz-copy-source"];
      if (source !== undefined) {
        const from = this.objects.get(
          decodeURIComponent(String(source)).replace(/^\/?states\//, ""),
        );
        if (!from) return missing();
        this.objects.set(key, from);
        return xml(200, `<CopyObjectResult><ETag>"${etag(from.body)}"</ETag></CopyObjectResult>`);
      }
      const headers = Object.fromEntries(
        Object.entries(request.headers).filter(([name]) =>
          /^(x-amz-meta-|content-type)/.test(name),
        ),
      ) as Record<string, string>;
      this.objects.set(key, { body, headers });
      response.writeHead(200, { etag: `"${etag(body)}"` });
      return void response.end();
    }
    if (request.method === "DELETE") {
      this.objects.delete(key);
      response.writeHead(204);
      return void response.end();
    }
    const found = this.objects.get(key);
    if (!found) return missing();
    response.writeHead(200, {
      ...found.headers,
      "content-length": String(found.body.length),
      etag: `"${etag(found.body)}"`,
      "last-modified": new Date(0).toUTCString(),
    });
    response.end(request.method === "HEAD" ? undefined : found.body);
  }

  #list(query: URLSearchParams): string {
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter");
    const folders = new Set<string>();
    const contents: string[] = [];
    for (const key of [...this.objects.keys()].sort()) {
      if (!key.startsWith(prefix)) continue;
      const at = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
      if (at >= 0) folders.add(key.slice(0, at + 1));
      else {
        const size = this.objects.get(key)?.body.length ?? 0;
        contents.push(
          `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"x"</ETag></Contents>`,
        );
      }
    }
    const common = [...folders].map(
      (folder) => `<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>`,
    );
    return `<ListBucketResult><Name>states</Name><Prefix>${prefix}</Prefix><KeyCount>${contents.length + common.length}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>${contents.join("")}${common.join("")}</ListBucketResult>`;
  }
}

const etag = (body: Buffer): string => createHash("md5").update(body).digest("hex");

/** The SDK signs an upload in chunks: `<size>;chunk-signature=…`, the bytes, and so on. */
function unchunked(body: Buffer, encoding: string | string[] | undefined): Buffer {
  if (!String(encoding ?? "").includes("aws-chunked")) return body;
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = body.indexOf("\r\n", at);
    const size = Number.parseInt(body.subarray(at, end).toString(), 16);
    if (end < 0 || !(size > 0)) return Buffer.concat(parts);
    parts.push(body.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
