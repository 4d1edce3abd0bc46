import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { packPart, SHAPE } from "../../toolchain/host-part.ts";
import { hostReleaseFacts, isPacked } from "../../toolchain/host-release.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { entriesOf } from "../../toolchain/tar.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "part-test-"));
  mkdirSync(join(root, "in/deep"), { recursive: true });
  writeFileSync(join(root, "in/program"), "#!/bin/sh\necho here\n");
  chmodSync(join(root, "in/program"), 0o755);
  writeFileSync(join(root, "in/deep/Text with blanks"), "text".repeat(40_000));
  writeFileSync(join(root, "in/empty"), "");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const progress = createProgress(() => {});
const pack = (cache: string, folder = "in") =>
  packPart("bin", "key", async () => entriesOf(join(root, folder), "bin"), {
    progress,
    root: join(root, cache),
  });

describe("a packed part", () => {
  test("is unpacked by tar, and its manifest and shape are what the host would say", async () => {
    const part = await pack("cache");
    const out = join(root, "out");
    mkdirSync(out);
    execFileSync("tar", ["-xzf", part.archive, "-C", out]);
    const sh = (script: string) =>
      execFileSync("sh", ["-euc", script, "sh", "bin"], { cwd: out, encoding: "utf8" });
    expect(sh(`sha256sum --check --strict --quiet '${part.manifest}'`)).toBe("");
    const sums = sh('find "$1" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum');
    expect(sums).toBe(readFileSync(part.manifest, "utf8"));
    expect(sh(`{ ${SHAPE}; } | sha256sum`).slice(0, 64)).toBe(part.shape);
    expect(part.unpackedBytes).toBe(160_000 + 20);
  });

  test("is the same whoever packs it, and when", async () => {
    const first = await pack("one");
    utimesSync(join(root, "in/program"), 1, 1);
    chmodSync(join(root, "in/empty"), 0o600);
    const { archive: _, manifest: __, ...facts } = await pack("two");
    expect(first).toMatchObject(facts);
    expect(readFileSync(first.archive).equals(readFileSync((await pack("two")).archive))).toBe(
      true,
    );
  });

  test("has another id and shape when a byte, a size or a mode is another", async () => {
    const first = await pack("one");
    writeFileSync(join(root, "in/program"), "#!/bin/sh\necho HERE\n");
    const byte = await pack("two");
    expect([byte.id === first.id, byte.shape === first.shape]).toEqual([false, true]);
    chmodSync(join(root, "in/program"), 0o644);
    const mode = await pack("three");
    expect([mode.id === byte.id, mode.shape === byte.shape]).toEqual([true, false]);
  });

  test("is packed once", async () => {
    const { archive } = await pack("cache");
    const before = readFileSync(archive);
    writeFileSync(join(root, "in/program"), "another");
    expect(readFileSync((await pack("cache")).archive).equals(before)).toBe(true);
  });
});

describe("a release for hosts", () => {
  test.each([
    ["openclaw/node_modules/a/index.js", true],
    ["openclaw/node_modules/a/index.mjs", true],
    ["openclaw/node_modules/a/index.ts", true],
    ["openclaw/node_modules/a/binding.node", true],
    ["openclaw/node_modules/openclaw/docs/index.md", true],
    ["openclaw/node_modules/a/index.d.ts", false],
    ["openclaw/node_modules/a/index.d.mts", false],
    ["openclaw/node_modules/a/index.js.map", false],
    ["openclaw/node_modules/.bin", false],
    ["openclaw/node_modules/a/data.map", true],
  ])("%s is in it: %s", (path, packed) => {
    expect(isPacked(path)).toBe(packed);
  });

  test("has one id for one clone, another for each architecture", async () => {
    const options = { env: { ...process.env, OPENCLAW_FLEET_OPENCLAW: "" }, progress };
    const x64 = await hostReleaseFacts("x64", options);
    expect(await hostReleaseFacts("x64", options)).toEqual(x64);
    const arm64 = await hostReleaseFacts("arm64", options);
    expect([arm64.id === x64.id, arm64.release === x64.release]).toEqual([false, true]);
    // A lease is taken over by what has the same words before the +.
    expect(x64.release).toMatch(/^2\d+\.\d+\.\d+\+[0-9a-f]{8}$/);
    expect(x64.id).toMatch(/^2\d+\.\d+\.\d+-[0-9a-f]{12}$/);
  });
});
