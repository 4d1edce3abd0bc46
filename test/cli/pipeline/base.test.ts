import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { differs, fileAt, findBase } from "../../../cli/lib/pipeline/base.ts";

let root: string;
const git = (...args: string[]) =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], {
    cwd: root,
    stdio: "pipe",
    env: { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: "1" },
  });
const write = (name: string, text: string) => writeFileSync(join(root, name), text);
const commit = () => {
  git("add", "-A");
  git("commit", "-q", "-m", "x");
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fleet-base-"));
  git("init", "-q", "-b", "main");
  for (const folder of ["stacks", "docs"]) mkdirSync(join(root, folder));
  write("Pulumi.prod.yaml", "config: {}\n");
  write("Pulumi.staging.yaml", "config: {}\n");
  write("stacks/index.ts", "1;\n");
  commit();
  git("checkout", "-q", "-b", "change");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("a stack differs by its own file or the program, and by nothing else", () => {
  const base = findBase("main", root);
  expect(differs(base, "prod", root)).toBe(false);
  write("docs/page.md", "words\n");
  commit();
  expect(differs(base, "prod", root)).toBe(false);
  write("Pulumi.prod.yaml", "config: { a: 1 }\n");
  expect([differs(base, "prod", root), differs(base, "staging", root)]).toEqual([true, false]);
  commit();
  expect([differs(base, "prod", root), differs(base, "staging", root)]).toEqual([true, false]);
  write("stacks/new.ts", "2;\n");
  expect(differs(base, "staging", root)).toBe(true);
});

test("the base is where the change branched off, whatever came to it since", () => {
  git("checkout", "-q", "main");
  write("Pulumi.prod.yaml", "config: { later: 1 }\n");
  commit();
  git("checkout", "-q", "change");
  const base = findBase("main", root);
  expect(fileAt(base, "Pulumi.prod.yaml", root)).toBe("config: {}\n");
  expect(fileAt(base, "Pulumi.none.yaml", root)).toBeNull();
  expect(differs(base, "prod", root)).toBe(false);
});

test("a base that is not there is told with what fetches it", () => {
  expect(() => findBase("origin/main", root)).toThrow("--base origin/main cannot be compared with");
});
