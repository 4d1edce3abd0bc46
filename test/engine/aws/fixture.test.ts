import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leftOver } from "../../standin/mutate.ts";
import { Replay, randomly } from "../../standin/replay.ts";
import { type AwsStack, awsStack, PULUMI } from "./harness.ts";

/** That the stand-in itself obeys and refuses under the real engine, before anything relies on it. */
describe.skipIf(!PULUMI)("the stand-in for AWS under the real engine", () => {
  let stack: AwsStack;
  const wrong = (what: string) => stack.settings([`openclaw-fleet:wrong: ${what}`]);

  beforeAll(async () => {
    stack = await awsStack({ program: "test/engine/aws/fixture/index.ts", delayMs: 20 });
  });
  afterAll(() => stack.remove());

  test("in a wrong account nothing is made", async () => {
    stack.settings(["openclaw-fleet:account: '999999999999'"]);
    try {
      const run = await stack.up();
      expect(run.code).not.toBe(0);
      expect(run.text).toContain("AWS account ID not allowed: 123456789012");
      // What is in no account (a password) may be made while the engine learns of the refusal.
      expect(stack.account(leftOver).filter((urn) => urn.includes("::aws:"))).toEqual([]);
    } finally {
      stack.settings([]);
    }
  });

  test("what AWS decides is unknown at preview, and known after up", async () => {
    const shown = await stack.preview();
    expect(shown.code, shown.text).toBe(0);
    expect(shown.text).toMatch(/clusterGroup: \[unknown\]/);
    const run = await stack.up({ seed: 2 });
    expect(run.code, run.text).toBe(0);
    expect(run.text).toMatch(/clusterGroup: "sg-0[0-9a-f]{16}"/);
  });

  test("up again changes nothing, nor does a refresh", async () => {
    const { size } = stack.account((world) => world.rows);
    for (const run of [await stack.up(), await stack.refresh()]) {
      expect(run.code, run.text).toBe(0);
      expect(run.text).toContain(`${size + 3} unchanged`);
    }
  });

  test("the state holds no plain secret", async () => {
    const password = stack.account(
      (world) => world.of("random:index/randomPassword:RandomPassword")[0]?.state.result,
    );
    expect(password).toEqual(expect.any(String));
    expect((await stack.state()).text).not.toContain(password);
  });

  test("the state can be made and taken down again in any order without the engine", async () => {
    const { resources } = await stack.state({ secrets: true });
    const replay = new Replay(resources);
    for (const seed of [1, 2, 3, 4, 5]) {
      const world = replay.empty();
      expect(replay.up(world, randomly(seed))).toBeNull();
      expect(world.rows.size).toBe(stack.account((real) => real.rows.size));
      expect(replay.down(world, randomly(seed))).toBeNull();
      expect(leftOver(world)).toEqual([]);
    }
  });

  test("what vanished is seen by refresh and made again by up", async () => {
    stack.account((world) => {
      const row = world.of("aws:ec2/routeTableAssociation:RouteTableAssociation")[0];
      if (row) world.remove(row.key);
    });
    expect((await stack.refresh()).text).toContain("1 deleted");
    expect((await stack.up()).text).toContain("1 created");
  });

  test("storage does not shrink, and a version is not skipped", async () => {
    stack.settings(["openclaw-fleet:size: 10"]);
    const run = await stack.up();
    expect(run.code).not.toBe(0);
    expect(run.text).toContain("allocatedStorage cannot shrink from 20 to 10");
    stack.settings([]);
  });

  test("destroy leaves nothing", async () => {
    const run = await stack.destroy({ seed: 3 });
    expect(run.code, run.text).toBe(0);
    expect(stack.account(leftOver)).toEqual([]);
  });

  test("a node group before its CNI is refused", async () => {
    wrong("no-cni");
    const run = await stack.up({ env: { STANDIN_SLOW: ":Addon::vpc-cni,:Addon::kube-proxy" } });
    expect(run.code).not.toBe(0);
    expect(run.text).toContain("nodes stay NotReady without");
    wrong("nothing");
    const fixed = await stack.up();
    expect(fixed.code, fixed.text).toBe(0);
  });

  test("a failure in the middle is overcome by up, with nothing made twice", async () => {
    wrong("nothing");
    await stack.destroy();
    for (const fault of ["create:20:refused", "create:5:lost"]) {
      const failed = await stack.up({ fault });
      expect(failed.code).not.toBe(0);
      expect(failed.text).toContain("a fault of the test");
    }
    const run = await stack.up();
    expect(run.code, run.text).toBe(0);
    const urns = stack.account((world) => [...world.rows.values()].map(({ urn }) => urn));
    expect(urns).toEqual([...new Set(urns)]);
    const half = await stack.destroy({ fault: "delete:9:lost" });
    expect(half.code).not.toBe(0);
    expect((await stack.destroy()).code).toBe(0);
    expect(stack.account(leftOver)).toEqual([]);
  });
});
