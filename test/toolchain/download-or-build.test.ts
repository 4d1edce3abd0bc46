import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { downloadOrBuild, type Obtainable } from "../../toolchain/download-or-build.ts";
import { readOrigin } from "../../toolchain/tool.ts";

let base: string;
let maker: Server;
/** What the maker publishes, by path. */
let published: Map<string, Buffer>;
beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), "download-or-build-"));
  for (const folder of ["work", "bin", "lock", "it-1"]) mkdirSync(join(base, folder));
  for (const name of ["go.mod", "go.sum"]) writeFileSync(join(base, "lock", name), "");
  for (const name of ["it", "its-tool", "README"]) writeFileSync(join(base, "it-1", name), name);
  execFileSync("tar", ["-czf", "it.tar.gz", "it-1"], { cwd: base });
  const archive = readFileSync(join(base, "it.tar.gz"));
  const sum = createHash("sha256").update(archive).digest("hex");
  published = new Map([
    ["/it.tar.gz", archive],
    ["/sums", Buffer.from(`${sum}  it.tar.gz\n`)],
  ]);
  maker = createServer((request, response) => {
    const body = published.get(request.url ?? "");
    response.writeHead(body ? 200 : 404).end(body);
  });
  await new Promise<void>((resolve) => maker.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  await new Promise((resolve) => maker.close(resolve));
  rmSync(base, { recursive: true, force: true });
});

const obtain = (more: Partial<Obtainable> = {}, PATH = join(base, "bin")) => {
  const from = `http://127.0.0.1:${(maker.address() as AddressInfo).port}`;
  const it = {
    name: "it",
    version: "1",
    url: `${from}/it.tar.gz`,
    checksums: `${from}/sums`,
    lock: join(base, "lock"),
    packages: ["example.com/it"],
    output: "it",
    go: "1.26.0",
    instead: "install it 1 or newer",
    ...more,
  };
  const ended = { note() {}, done() {}, failed() {} };
  const progress = { say() {}, step: () => ended };
  return downloadOrBuild(it, join(base, "work"), { progress, env: { PATH } });
};
const had = () => readdirSync(join(base, "work")).sort();
const origin = () => readOrigin(join(base, "work"), { source: "npm", why: "nothing is written" });
const placeGo = () =>
  writeFileSync(
    join(base, "bin/go"),
    '#!/bin/sh\nif test "$1" = env; then echo go1.26.0; else echo built > it; fi\n',
    { mode: 0o755 },
  );

test("the official download is unpacked and checked, and nothing of it is left besides", async () => {
  expect(await obtain()).toBe("download");
  expect(had()).toEqual(["README", "it", "its-tool", "origin.json"]);
  expect(origin()).toEqual({ source: "download", why: "official release, checked" });
});

test("only the files that are wanted are unpacked", async () => {
  await obtain({ files: ["it", "its-tool"], because: "none is on PATH" });
  expect(had()).toEqual(["it", "its-tool", "origin.json"]);
  expect(origin().why).toBe("none is on PATH; official release, checked");
});

test("an archive that is not what its maker says is not used: it is built", async () => {
  placeGo();
  published.set("/it.tar.gz", Buffer.from("something else"));
  expect(await obtain({ because: "none is on PATH" })).toBe("build");
  expect(readFileSync(join(base, "work/it"), "utf8")).toBe("built\n");
  expect(origin().why).toMatch(
    /^none is on PATH; the official download failed \(it\.tar\.gz has SHA-256 .*built from Go modules$/,
  );
  expect(had()).not.toContain("download.tar.gz");
});

test("with neither a download nor a Go, it says what to install", async () => {
  published.clear();
  await expect(obtain({ because: "none is on PATH" })).rejects.toThrow(
    /no it could be had \(none is on PATH\)[\s\S]*answered 404[\s\S]*no Go[\s\S]*install it 1 or newer, or Go 1\.26\.0/,
  );
});
