import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { groupByEffect } from "../../../cli/lib/pipeline/effects.ts";
import { readPreview } from "../../../cli/lib/pipeline/steps.ts";
import { furnish, settingsObject } from "../aws/stacks.ts";
import { makeProject, type Project, PULUMI } from "../fixtures/project.ts";
import { Pipeline } from "./cli.ts";

describe.skipIf(!PULUMI)("what the real engine says of a change on this machine", () => {
  let project: Project;
  const small = ["openclaw-fleet:sizes:", "  shardMemoryMiB: 10", "  runtimeMemoryMiB: 10"];
  const groups = async (lines: string[], env: Record<string, string> = {}) => {
    project.settings([...small, ...lines]);
    const run = await project.pulumi(["preview", "--json"], env);
    expect(run.code, run.text).toBe(0);
    const { data, restarts, reach, none } = groupByEffect(readPreview(run.stdout).steps);
    const names = (steps: readonly { op: string; name: string }[]) =>
      steps.map(({ op, name }) => `${op} ${name}`).sort();
    return { data: names(data), restarts: names(restarts), reach: names(reach), none: names(none) };
  };
  const nothing = { data: [], restarts: [], reach: [], none: [] };

  beforeAll(async () => {
    project = await makeProject();
    project.settings(small);
    for (const args of [
      ["stack", "init", "test"],
      ["up", "--yes", "--skip-preview"],
    ]) {
      const run = await project.pulumi(args);
      expect(run.code, run.text).toBe(0);
    }
  });
  afterAll(async () => {
    await project.pulumi(["destroy", "--yes"]);
    project.remove();
  });

  test("nothing", async () => {
    expect(await groups([])).toEqual(nothing);
  });

  test("a prompt: no effect; another release: every node restarts", async () => {
    const agent = ["openclaw-fleet:agents:", "  - name: clerk", "    systemPrompt: Be kind."];
    expect(await groups(agent)).toEqual({ ...nothing, none: ["update fleet"] });
    const release = { OPENCLAW_FLEET_RELEASE_JSON: project.release("2.0.0") };
    expect(await groups([], release)).toEqual({
      ...nothing,
      restarts: ["update node-a", "update node-b"],
    });
  });

  test("a node less: it stops; another proxy: clients notice", async () => {
    expect(await groups(["openclaw-fleet:nodes: 1"])).toMatchObject({
      restarts: expect.arrayContaining(["delete node-b"]),
    });
    expect(await groups(['openclaw-fleet:trustedProxies: ["192.0.2.1"]'])).toEqual({
      ...nothing,
      reach: ["update fleet"],
    });
  });
});

describe.skipIf(!PULUMI)("preview --markdown", () => {
  let pipeline: Pipeline;
  let stack: string;
  const file = () => join(pipeline.home, "preview.md");
  const settings = (more: object) =>
    pipeline.settings(stack, { ...settingsObject("ec2", "small"), ...more });

  beforeAll(async () => {
    pipeline = new Pipeline();
    stack = pipeline.name();
    pipeline.account((world) => furnish(world));
  });
  afterAll(() => pipeline.remove());

  test("of a stack that is not there yet, with its cost, and nothing made", async () => {
    settings({});
    const ran = await pipeline.ok(["preview", "--stack", stack, "--markdown", file()]);
    expect(ran.stdout).toMatch(
      new RegExp(`^${stack}: a new stack of \\d+ resources; \\$[\\d.]+ a month\n$`),
    );
    expect(readFileSync(file(), "utf8")).toContain("<details><summary>No effect on users (");
    expect(pipeline.account((world) => world.log)).toEqual([]);
  });

  test("of what a policy refuses: exit code 1, and the comment says what to do", async () => {
    settings({ budgetMonthlyUsd: 20 });
    const ran = await pipeline.run(["preview", "--stack", stack, "--markdown", file()]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`The change of ${stack} would not go through`);
    const text = readFileSync(file(), "utf8");
    expect(text).toContain("**refused by 1 policy finding**");
    expect(text).toMatch(/`money-budget` at .*Found: \d+\.\d\d USD a month/s);
  });

  test("of secrets that this run does not have: placeholders, said so, never their values", async () => {
    settings({
      models: {
        primary: "anthropic/claude",
        providers: { anthropic: { apiKey: "env:NO_SUCH_KEY" } },
      },
    });
    const args = ["preview", "--stack", stack, "--markdown", file()];
    const without = await pipeline.run(args);
    expect([without.code, readFileSync(file(), "utf8")]).toEqual([
      1,
      expect.stringContaining("the environment has no NO_SUCH_KEY"),
    ]);
    await pipeline.ok([...args, "--placeholders"]);
    const text = readFileSync(file(), "utf8");
    expect(text).toContain("Placeholders stood in for `NO_SUCH_KEY`");
    expect(text).not.toContain("opens-nothing");
  });

  test("of what does not even parse: the reason is in the comment", async () => {
    writeFileSync(pipeline.file(stack), "config:\n  openclaw-fleet:preste: small\n");
    const ran = await pipeline.run(["preview", "--stack", stack, "--markdown", file()]);
    expect(ran.code).toBe(1);
    expect(readFileSync(file(), "utf8")).toContain("Did you mean openclaw-fleet:preset?");
  });
});
