import { existsSync, readdirSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { awaitFree, holderState, lockFolder, readLocks } from "../../cli/operation-lock.ts";
import { eventually } from "../support/eventually.ts";
import { makeProject, type Project, PULUMI } from "./fixtures/project.ts";

/** That Pulumi's own locks are where, and what, the commands take them for. */
describe.skipIf(!PULUMI)("the lock of a stack", () => {
  let project: Project;
  let folder: string;

  beforeAll(async () => {
    project = await makeProject();
    project.settings(["openclaw-fleet:sizes:", "  shardMemoryMiB: 10", "  runtimeMemoryMiB: 10"]);
    expect((await project.pulumi(["stack", "init", "test"])).code).toBe(0);
    const state = join(dirname(project.dir), "state");
    folder = lockFolder(`file://${state}`, "openclaw-fleet", "test") as string;
  });
  afterAll(async () => {
    await project.pulumi(["cancel", "--yes"]);
    await project.pulumi(["destroy", "--yes"]);
    project.remove();
  });

  test("a run holds it, another is told who; a killed run does not block the next", async () => {
    const abort = new AbortController();
    const running = project.pulumi(["up", "--yes", "--skip-preview"], {}, abort.signal);
    const [lock] = await eventually(() => {
      const locks = readLocks(folder);
      expect(locks).toHaveLength(1);
      return locks;
    }, 60_000);
    if (!lock) throw new Error("no lock");
    expect(lock.host).toBe(hostname());
    expect(holderState(lock)).toBe("alive");
    const refused = await awaitFree(folder, "up", "test", 0).catch((error) => error);
    expect(refused.why).toMatch(new RegExp(`^process ${lock.pid} \\(pulumi up\\) of `));
    process.kill(lock.pid, "SIGKILL");
    await running;
    expect(holderState(lock)).toBe("dead");
    expect(existsSync(lock.path)).toBe(true);
    await awaitFree(folder, "up", "test", 0);
    expect(readdirSync(folder)).toEqual([]);
    const again = await project.pulumi(["up", "--yes", "--skip-preview"]);
    expect(again.code, again.text).toBe(0);
  });
});
