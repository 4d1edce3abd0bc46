import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  checkRelease,
  entryOf,
  packRelease,
  versionPlaces,
} from "../../../cli/lib/pipeline/release.ts";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";

test("every file of this tree says the same version, and the changelog has words on it", () => {
  const [{ version } = { version: null }] = versionPlaces();
  expect(checkRelease(`v${version}`).notes).not.toBe("");
});

describe("a release", () => {
  let root: string;
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], {
      cwd: root,
      stdio: "pipe",
      env: { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: "1" },
    });
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "fleet-release-"));
    for (const { file } of versionPlaces()) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      cpSync(join(PROJECT_ROOT, file), join(root, file));
    }
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test.each(versionPlaces().map(({ file }) => file))(
    "is refused when %s says otherwise",
    (file) => {
      const [{ version } = { version: "" }] = versionPlaces();
      const path = join(root, file);
      writeFileSync(path, readFileSync(path, "utf8").replaceAll(version as string, "9.8.7"));
      const refused = () => checkRelease(`v${version}`, root);
      expect(refused).toThrow(`v${version} does not agree with the tree`);
      expect(versionPlaces(root).filter((one) => one.version !== version)).toEqual([
        { file, version: "9.8.7" },
      ]);
    },
  );

  test("is refused under a tag that is none, and without words", () => {
    expect(() => checkRelease("0.1.0", root)).toThrow("is no tag of a release");
    expect(() => checkRelease("v1", root)).toThrow("is no tag of a release");
    writeFileSync(join(root, "CHANGELOG.md"), "# Changes\n\n## 0.1.0\n\n## 0.0.9\n\n- Old.\n");
    expect(() => checkRelease("v0.1.0", root)).toThrow("CHANGELOG.md says nothing of 0.1.0");
  });

  test("has the words of its own version alone", () => {
    const text = "# Changes\n\n## 1.1.0\n\n- New.\n\n## 1.0.0 (2026-01-01)\n\n- Old.\n";
    expect([entryOf(text, "1.1.0"), entryOf(text, "1.0.0"), entryOf(text, "1.0")]).toEqual([
      "- New.",
      "- Old.",
      null,
    ]);
  });

  test("packs what the tag has, the same bytes each time, with its checksum", () => {
    git("init", "-q");
    git("add", "-A");
    git("commit", "-q", "-m", "x");
    git("tag", "v0.1.0");
    writeFileSync(join(root, "untracked.txt"), "not in it\n");
    const pack = (out: string) =>
      packRelease({ tag: "v0.1.0", version: "0.1.0", out: join(root, out) }, root);
    const [archive = "", sums = ""] = pack("a");
    const [again = ""] = pack("b");
    const bytes = readFileSync(archive);
    expect(bytes.equals(readFileSync(again))).toBe(true);
    const sum = createHash("sha256").update(bytes).digest("hex");
    expect(readFileSync(sums, "utf8")).toBe(`${sum}  openclaw-fleet-0.1.0.tar.gz\n`);
    const listed = execFileSync("tar", ["-tzf", archive], { encoding: "utf8" });
    expect(listed).toContain("openclaw-fleet-0.1.0/package.json");
    expect(listed).not.toContain("untracked");
    expect(() => packRelease({ tag: "v9", version: "9", out: root }, root)).toThrow(
      "cannot be packed",
    );
  });
});
