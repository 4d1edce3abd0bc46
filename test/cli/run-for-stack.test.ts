import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { lockFolder } from "../../cli/operation-lock.ts";
import { type PulumiRunner, runForStack } from "../../cli/pulumi.ts";
import { pulumiScript } from "../support/pulumi-script.ts";

let base: string;
let runner: PulumiRunner;
let locks: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "fleet-run-"));
  const url = `file://${base}`;
  const { pulumi, env } = pulumiScript(`touch ${join(base, "ran")}`);
  runner = { pulumi, env: { ...env, PULUMI_BACKEND_URL: url } };
  locks = lockFolder(url, "openclaw-fleet", "prod") as string;
  mkdirSync(locks, { recursive: true });
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(base, { recursive: true, force: true });
});

const ran = () => existsSync(join(base, "ran"));

test("what must be so is looked at once no other run changes the stack, and before Pulumi begins", async () => {
  const lock = join(locks, "one.json");
  // Another machine's: nobody here can tell that it ended.
  const holder = { pid: 1, username: "ann", hostname: `not-${hostname()}`, timestamp: new Date() };
  writeFileSync(lock, JSON.stringify(holder));
  setTimeout(() => rmSync(lock), 50);
  const seen: object[] = [];
  const ready = () => seen.push({ locked: existsSync(lock), ran: ran() });
  await runForStack(runner, "destroy", "prod", [], 60_000, ready);
  expect(seen).toEqual([{ locked: false, ran: false }]);
  expect(ran()).toBe(true);
});

test("a run whose ground has changed meanwhile is not begun", async () => {
  const changed = () => {
    throw new Error("changed");
  };
  await expect(runForStack(runner, "destroy", "prod", [], 0, changed)).rejects.toThrow("changed");
  expect(ran()).toBe(false);
});
