import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Pipeline } from "../engine/pipeline/cli.ts";
import { eventually } from "../support/eventually.ts";
import { TestStack } from "./stack.ts";

/** A process that ended stays in the list until its parent looks. */
function runs(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

/**
 * What staging.yml and staging-destroy.yml run, step by step, with real Pulumi and real OpenClaw: a
 * stack for a while is made from another's settings, tried by taking a gateway away, and gone.
 */
describe.skipIf(!process.env.OPENCLAW_FLEET_OPENCLAW)(
  "staging on this machine",
  { timeout: 420_000 },
  () => {
    let base: TestStack;
    let pipeline: Pipeline;
    let stack: string;

    beforeAll(async () => {
      pipeline = new Pipeline();
      stack = pipeline.name();
      // Only its settings are used; it is never brought up.
      base = await TestStack.create({ nodes: 1, shards: 1, environment: "staging" });
    });
    afterAll(async () => {
      await pipeline.run(["destroy", "--yes", "--stack", stack]);
      pipeline.remove();
      rmSync(base.base, { recursive: true, force: true });
      rmSync(base.file, { force: true });
    }, 420_000);

    test("stage writes its settings, with an end", async () => {
      const { stdout } = await pipeline.ok([
        ...["stage", "--stack", stack, "--from", base.name, "--for", "1h"],
        ...["--port", String(base.port)],
      ]);
      expect(stdout).toContain(`Wrote Pulumi.${stack}.yaml, as ${base.name}, until `);
      const again = await pipeline.ok(["stage", "--stack", stack, "--from", base.name]);
      expect(again.stdout).toContain("holds until");
      const other = await pipeline.run(["stage", "--stack", base.name, "--from", stack]);
      expect([other.code, other.stderr]).toEqual([
        1,
        expect.stringContaining("is no stack for a while"),
      ]);
    });

    test("up brings it up, marked in its backend before anything is made", async () => {
      const { stdout } = await pipeline.ok(["up", "--stack", stack, "--yes"]);
      expect(stdout).toContain("Ready: ");
      const tags = JSON.parse(
        (await pipeline.ok(["pulumi", "stack", "tag", "ls", "--json", "--stack", stack])).stdout,
      );
      expect(Date.parse(tags["openclaw-fleet:expires"])).toBeGreaterThan(Date.now());
    });

    test("smoke takes the gateway away that answered, and the conversation goes on", async () => {
      const { stdout } = await pipeline.ok(["smoke", "--stack", stack, "--json"]);
      const { tried } = JSON.parse(stdout) as { tried: { what: string; found: string }[] };
      expect(tried.map(({ what }) => what)).toEqual([
        "a question",
        "its gateway is killed",
        "the next question",
        "all shards serve",
        "what was done shows in the status",
      ]);
      expect(tried[1]?.found).toMatch(/^SIGKILL to process \d+, gateway of s1 on a$/);
      expect(tried.at(-1)?.found).toMatch(/^s1: 1 restart \(crashed: signal SIGKILL\)$/);
    });

    test("reap leaves it while its time lasts, destroys it when told, and nothing is left", async () => {
      const early = await pipeline.ok(["reap"]);
      expect(early.stdout).toMatch(new RegExp(`${stack}\\s+later`));
      const dataDir = join(pipeline.home, "data");
      expect(existsSync(join(dataDir, "fleet.json"))).toBe(true);
      const keeper = JSON.parse(readFileSync(join(dataDir, "nodes/a/keeper.json"), "utf8")) as {
        pid: number;
      };
      await pipeline.ok(["reap", "--stack", stack, "--now"]);
      expect(existsSync(join(dataDir, "fleet.json"))).toBe(false);
      await eventually(() => expect(runs(keeper.pid)).toBe(false));
      const { stdout } = await pipeline.ok(["pulumi", "stack", "ls", "--json"]);
      expect(JSON.parse(stdout)).toEqual([]);
    });
  },
);
