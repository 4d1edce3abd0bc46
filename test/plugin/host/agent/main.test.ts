import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PROJECT_ROOT } from "../../../../toolchain/paths.ts";

const MAIN = join(PROJECT_ROOT, "plugin/host/agent/main.ts");
const WHO = { fleet: "f", node: "a", secrets: { password: "hush-hush" } };

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "agent-"));
  mkdirSync(join(root, "etc"));
  writeFileSync(join(root, "etc/kept"), "x");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const agent = (input: unknown) =>
  spawnSync(process.execPath, [MAIN, "--root", root], {
    input: typeof input === "string" ? input : JSON.stringify(input),
    encoding: "utf8",
  });

test.each([
  [
    "a verb that it does not know",
    { verb: "wipe", ...WHO },
    "none of observe, apply, drain, remove",
  ],
  ["no verb at all", WHO, "none of observe, apply, drain, remove"],
  ["no fleet", { ...WHO, verb: "remove", fleet: undefined }, "names no fleet"],
  ["no object", [], "none of observe, apply, drain, remove"],
  ["null", "null", "its input is no request"],
  ["no JSON", "hush-hush", "its input is no request"],
])("of %s it does nothing, and shows nothing of it", (_, input, why) => {
  const { status, stdout, stderr } = agent(input);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(why);
  expect(stderr).not.toContain("hush-hush");
  expect(readdirSync(root, { recursive: true }).sort()).toEqual(["etc", "etc/kept"]);
});
