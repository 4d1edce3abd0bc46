import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { furnish, settingsObject } from "../aws/stacks.ts";
import { PULUMI } from "../fixtures/project.ts";
import { Pipeline } from "./cli.ts";

describe.skipIf(!PULUMI)("drift of a stack on AWS", () => {
  let pipeline: Pipeline;
  let stack: string;
  const file = () => join(pipeline.home, "drift.md");
  const drift = async () => {
    rmSync(file(), { force: true });
    const ran = await pipeline.run(["drift", "--stack", stack, "--markdown", file(), "--json"]);
    return { code: ran.code, facts: JSON.parse(ran.stdout), text: readFileSync(file(), "utf8") };
  };

  beforeAll(async () => {
    pipeline = new Pipeline();
    stack = pipeline.name();
    pipeline.account((world) => furnish(world));
    pipeline.settings(stack, settingsObject("ec2", "solo"));
    const up = await pipeline.run(["up", "--yes", "--skip-preview", "--stack", stack]);
    // Everything is made; that nothing runs on it yet is another matter.
    expect(up.stdout, up.stderr).toMatch(/\+ \d+ created/);
  });
  afterAll(async () => {
    await pipeline.run(["destroy", "--yes", "--stack", stack]);
    pipeline.remove();
  });

  test("there is none right after up", async () => {
    const { code, facts, text } = await drift();
    expect(facts).toMatchObject({ drifted: false, changed: [], gone: [] });
    expect(facts.checked).toBeGreaterThan(40);
    expect([code, text]).toEqual([0, expect.stringContaining("is as it was made")]);
  });

  test("what was changed and deleted by hand is named, and the state stays as it is", async () => {
    pipeline.account((world) => {
      const group = world
        .of("aws:ec2/securityGroup:SecurityGroup")
        .find(({ urn }) => urn.endsWith("-hosts-sg"));
      const policy = world
        .of("aws:iam/rolePolicy:RolePolicy")
        .find(({ urn }) => urn.endsWith("-may-be-managed"));
      if (!group || !policy) throw new Error("the stack has none");
      const inputs = { ...group.inputs, description: "by hand" };
      world.put({ ...group, inputs, state: { ...group.state, ...inputs } });
      world.remove(policy.key);
    });
    for (const time of ["first", "second"]) {
      const { code, facts, text } = await drift();
      expect([time, code]).toEqual([time, 1]);
      expect(facts.gone.map(({ name }: { name: string }) => name)).toEqual([
        `${stack}-hosts-may-be-managed`,
      ]);
      expect(facts.changed).toMatchObject([
        { name: `${stack}-hosts-sg`, changed: ["description"] },
      ]);
      expect(text).toContain("1 changed, 1 gone");
    }
  });

  test("a look that fails is no drift: no file for an issue", async () => {
    rmSync(file(), { force: true });
    const ran = await pipeline.run(["drift", "--stack", stack, "--markdown", file()], {
      PULUMI_CONFIG_PASSPHRASE: "wrong",
    });
    expect([ran.code, existsSync(file())]).toEqual([1, false]);
    expect(ran.stderr).toContain("could not be compared");
  });
});
