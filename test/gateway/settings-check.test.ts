import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const PROGRAM = join(import.meta.dirname, "../../gateway/settings-check/main.ts");
const dir = mkdtempSync(join(tmpdir(), "settings-check-"));
const scratch = mkdtempSync(join(dir, "node-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Refuses any `nonsense`. */
const openclaw = join(dir, "openclaw.mjs");
writeFileSync(
  openclaw,
  `import { readFileSync } from "node:fs";
if (!readFileSync(process.env.OPENCLAW_CONFIG_PATH, "utf8").includes("nonsense")) process.exit(0);
console.log(JSON.stringify({ issues: [{ path: "cron", message: "no nonsense" }] }));
process.exit(1);`,
);
const token = "t".repeat(43);
const fleet = (openclaw: object) =>
  JSON.stringify({
    ...{ version: 1, fleet: "prod", target: "hosts", preset: "small", port: 18_789 },
    shards: [{ id: "s1", agents: ["main"], recycleMiB: 2_560 }],
    agents: [{ name: "main", shards: ["s1"], homeShard: "s1" }],
    ...{ models: "demo", openclaw, tokens: { client: [token], admin: token, peer: token } },
  });
const check = (openclawEntry: string, inPlace: string, input: string) => {
  const argv = [PROGRAM, openclawEntry, inPlace, scratch];
  const { status, stderr } = spawnSync(process.execPath, argv, { input, encoding: "utf8" });
  return { status, stderr };
};

test("a new fleet.json is taken or refused in OpenClaw's words, and nothing of it stays", {
  timeout: 60_000,
}, () => {
  const inPlace = join(dir, "fleet.json");
  const bad = fleet({ cron: { nonsense: 1 } });
  expect(check(openclaw, inPlace, bad)).toEqual({
    status: 1,
    stderr:
      "OpenClaw refuses these settings: cron: no nonsense (s1). Mend openclaw-fleet:openclaw.cron\n",
  });
  const good = fleet({ cron: { skipMissedJobs: true } });
  expect(check(openclaw, inPlace, good)).toEqual({ status: 0, stderr: "" });
  writeFileSync(inPlace, good);
  expect(check(openclaw, inPlace, bad).status).toBe(1);
  expect(readdirSync(scratch)).toEqual([]);
});
