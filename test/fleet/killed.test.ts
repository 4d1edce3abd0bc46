import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Pipeline } from "../engine/pipeline/cli.ts";
import { eventually } from "../support/eventually.ts";
import { TestStack } from "./stack.ts";

/** Processes whose environment names a folder: everything that commands of a `Pipeline` started, and that they left. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const names = readFileSync(`/proc/${pid}/environ`, "latin1").includes(folder);
        return names ? [readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ")] : [];
      } catch {
        // Ended meanwhile, or another's.
        return [];
      }
    });
}

describe.skipIf(!process.env.OPENCLAW_FLEET_OPENCLAW)(
  "an up of a fleet on this machine that is killed",
  { timeout: 600_000 },
  () => {
    let pipeline: Pipeline;
    let base: TestStack;
    let stack: string;
    const dataDir = () => join(pipeline.home, "data");

    beforeEach(async () => {
      pipeline = new Pipeline();
      stack = pipeline.name();
      base = await TestStack.create({});
      pipeline.settings(stack, {
        target: "local",
        port: base.port,
        nodes: 2,
        shards: 1,
        environment: "staging",
        ephemeral: { expires: new Date(Date.now() - 3_600_000).toISOString() },
      });
    });
    afterEach(async () => {
      await pipeline.run(["destroy", "--yes", "--stack", stack]);
      pipeline.remove();
      rmSync(base.base, { recursive: true, force: true });
      rmSync(base.file, { force: true });
    }, 420_000);

    test.each([
      ["as the fleet's place is made", "fleet.json"],
      ["while its first node starts", "nodes/a/keeper.json"],
    ])("%s leaves no process, no data and no state behind reap", async (_, sign) => {
      const up = pipeline.start(["up", "--yes", "--skip-preview", "--stack", stack]);
      await eventually(() => {
        expect(existsSync(join(dataDir(), sign)), up.seen()).toBe(true);
      }, 240_000);
      up.killAll();
      expect((await up.done).code).not.toBe(0);
      // The engine was killed, and told nobody: its provider sees it by itself.
      await eventually(() => {
        const providers = processesOf(pipeline.home).filter((one) =>
          one.includes("plugin/main.ts"),
        );
        expect(providers).toEqual([]);
      }, 60_000);

      const reaped = await pipeline.ok(["reap", "--json"]);
      expect(JSON.parse(reaped.stdout).stacks).toMatchObject([
        { stack, fate: "destroyed", lost: [] },
      ]);
      await eventually(() => expect(processesOf(pipeline.home)).toEqual([]), 60_000);
      expect(existsSync(dataDir()) ? readdirSync(dataDir()) : []).toEqual([]);
      const { stdout } = await pipeline.ok(["pulumi", "stack", "ls", "--json"]);
      expect(JSON.parse(stdout)).toEqual([]);
    });
  },
);
