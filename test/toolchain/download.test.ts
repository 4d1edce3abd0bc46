import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { downloadChecked, findDigest } from "../../toolchain/download.ts";

const ARCHIVE = Buffer.from("the archive");
const DIGEST = createHash("sha256").update(ARCHIVE).digest("hex");

let server: Server;
let base: string;
let folder: string;
let list: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "fleet-download-"));
  list = `${DIGEST}  tool.tar.gz\n`;
  server = createServer((request, response) => {
    if (request.url === "/sums.txt") response.end(list);
    else if (request.url === "/tool.tar.gz") response.end(ARCHIVE);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

const get = (path = "/tool.tar.gz") =>
  downloadChecked({ url: base + path, checksums: `${base}/sums.txt`, file: join(folder, "out") });

test("a file whose digest is the published one is kept", async () => {
  await get();
  expect(readFileSync(join(folder, "out"))).toEqual(ARCHIVE);
});

test("another digest is refused, with both", async () => {
  list = `${"0".repeat(64)}  tool.tar.gz\n`;
  await expect(get()).rejects.toThrow(
    `has SHA-256 ${DIGEST}, the published one is ${"0".repeat(64)}`,
  );
});

test("a file that the list does not name is refused before it is fetched", async () => {
  list = `${DIGEST}  other.tar.gz\n`;
  await expect(get()).rejects.toThrow("no line for tool.tar.gz");
});

test("a missing file and an unreachable host are told apart", async () => {
  list = `${DIGEST}  gone.tar.gz\n`;
  await expect(get("/gone.tar.gz")).rejects.toThrow("answered 404");
  const url = "http://127.0.0.1:1/tool.tar.gz";
  await expect(downloadChecked({ url, checksums: url, file: join(folder, "out") })).rejects.toThrow(
    /^127\.0\.0\.1:1: /,
  );
});

test("digests are found in both common forms, by whole name", () => {
  const lines = `${"a".repeat(64)}  x.tar.gz\n${"B".repeat(64)} *y.tar.gz\n`;
  expect(findDigest(lines, "x.tar.gz")).toBe("a".repeat(64));
  expect(findDigest(lines, "y.tar.gz")).toBe("b".repeat(64));
  expect(findDigest(lines, "tar.gz")).toBeNull();
});
