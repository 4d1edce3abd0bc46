import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ensureEtcd } from "../../toolchain/etcd.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fleet-etcd-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function place(version: string, names = ["etcd", "etcdctl", "etcdutl"]): void {
  for (const name of names) {
    const text = `#!/bin/sh\necho "etcd Version: ${version}"\n`;
    writeFileSync(join(folder, name), text, { mode: 0o755 });
  }
}
/** A run that would have to fetch or build fails at once: there is nowhere to put it. */
const nowhere = { root: "/dev/null/nowhere", progress: { say() {}, step: () => ended } };
const ended = { note() {}, done() {}, failed() {} };

test("one on PATH is used with its tools when it is new enough", async () => {
  place("3.6.2");
  const found = await ensureEtcd({ env: { PATH: folder }, ...nowhere });
  expect(found).toMatchObject({
    version: "3.6.2",
    source: "path",
    etcd: join(folder, "etcd"),
    etcdctl: join(folder, "etcdctl"),
    etcdutl: join(folder, "etcdutl"),
  });
});

test("one on PATH is left alone when it is old, not whole, or meant for other machines", async () => {
  const env = { PATH: folder };
  place("3.4.23");
  await expect(ensureEtcd({ env, ...nowhere })).rejects.toThrow("cannot write to the cache");
  place("3.6.2");
  await expect(ensureEtcd({ env, for: "x64", ...nowhere })).rejects.toThrow("cannot write");
  rmSync(join(folder, "etcdutl"));
  await expect(ensureEtcd({ env, ...nowhere })).rejects.toThrow("cannot write to the cache");
});

test("a named one that is none is an error with a way out", async () => {
  place("3.6.2", ["etcd"]);
  const env = { PATH: "", OPENCLAW_FLEET_ETCD: join(folder, "etcd") };
  await expect(ensureEtcd({ env, ...nowhere })).rejects.toThrow(/no whole etcd[\s\S]*unset it/);
});
