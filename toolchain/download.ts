import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EnvHttpProxyAgent, fetch } from "undici";

/** A connection not made by then fails, ms: without access the next way must be tried soon. */
const CONNECT_MS = 4_000;
/** A transfer that stands still for this long fails, ms. */
const STALL_MS = 30_000;

export interface Download {
  url: string;
  /** List of `<sha256>  <file name>` lines that must name the last part of `url`. */
  checksums: string;
  /** File to write. */
  file: string;
  onBytes?: (received: number, total: number | null) => void;
}

/**
 * Fetches a file and checks it against the published list. The list comes from the maker over TLS,
 * so it proves a whole and unmixed transfer, and that both of the maker's hosts agree; it is not a
 * signature. Throws with the reason; nothing unchecked is left behind under a usable name, because
 * the caller's folder is thrown away.
 */
export async function downloadChecked({ url, checksums, file, onBytes }: Download): Promise<void> {
  // Honours HTTPS_PROXY and NO_PROXY, which the built-in fetch does not.
  const dispatcher = new EnvHttpProxyAgent({
    connect: { timeout: CONNECT_MS },
    headersTimeout: STALL_MS,
    bodyTimeout: STALL_MS,
  });
  try {
    const list = await get(checksums, dispatcher);
    const name = new URL(url).pathname.split("/").pop() ?? "";
    const expected = findDigest(await list.text(), name);
    if (!expected) throw new Error(`${checksums} has no line for ${name}`);
    const response = await get(url, dispatcher);
    const length = response.headers.get("content-length");
    const total = length === null ? null : Number(length);
    let received = 0;
    if (!response.body) throw new Error(`${url} answered without a body`);
    const body = Readable.fromWeb(response.body);
    body.on("data", (chunk: Uint8Array) => {
      received += chunk.length;
      onBytes?.(received, total);
    });
    await pipeline(body, createWriteStream(file));
    const actual = await digestOf(file);
    if (actual !== expected) {
      throw new Error(`${name} has SHA-256 ${actual}, the published one is ${expected}`);
    }
  } finally {
    await dispatcher.destroy();
  }
}

/** The digest that a checksum list gives for a file; null when it gives none. */
export function findDigest(list: string, name: string): string | null {
  for (const line of list.split("\n")) {
    const match = /^([0-9a-f]{64})\s+\*?(\S+)\s*$/i.exec(line);
    if (match && match[2] === name) return (match[1] ?? "").toLowerCase();
  }
  return null;
}

async function get(url: string, dispatcher: EnvHttpProxyAgent) {
  let response: Awaited<ReturnType<typeof fetch>>;
  try {
    response = await fetch(url, { dispatcher, redirect: "follow" });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new Error(`${new URL(url).host}: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
