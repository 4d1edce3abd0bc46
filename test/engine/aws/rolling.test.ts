import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AwsStack, awsStack, PULUMI } from "./harness.ts";
import { placeOf, type Step, upSteps } from "./steps.ts";

const INSTANCE = "aws:ec2/instance:Instance";
const VOLUME = "aws:ebs/volume:Volume";
const NODES = ["a", "b", "c"];
/** A name of everything of one host, and which host that is. */
const OF_HOST = /^(?:roll-hosts|drained|healthy)-([a-c])(?:-(?:attachment|target))?$/;

describe.skipIf(!PULUMI)("hosts on EC2 under the real engine", () => {
  let stack: AwsStack;
  const config = (lines: Record<string, string>) =>
    stack.settings(Object.entries(lines).map(([key, v]) => `openclaw-fleet:${key}: ${v}`));

  beforeAll(async () => {
    stack = await awsStack({ program: "test/engine/aws/rolling/index.ts", delayMs: 20 });
    const made = await upSteps(stack);
    expect(made.filter(({ type }) => type === INSTANCE).length).toBeGreaterThanOrEqual(3);
  });
  afterAll(async () => {
    const gone = await stack.destroy();
    expect(gone.code, gone.text).toBe(0);
    expect((await stack.state()).resources).toEqual([]);
    stack.remove();
  });

  test("a second run changes nothing", async () => {
    expect(await upSteps(stack)).toEqual([]);
  });

  test("another class changes one host after the other, in place", async () => {
    config({ instanceType: "m7g.large" });
    const steps = await upSteps(stack);
    expect(steps.filter(({ type }) => type === INSTANCE).map(({ op }) => op)).toEqual(
      Array.from({ length: 6 }, () => "update"),
    );
    expectOneAfterTheOther(steps);
  });

  test("another image replaces one host after the other, and no volume", async () => {
    config({ instanceType: "m7g.large", ami: "ami-0123456789abcdef0" });
    const steps = await upSteps(stack);
    for (const node of NODES) {
      const here = steps.filter(({ name }) => name === `roll-hosts-${node}`);
      expect(here.map(({ op }) => op)).toContain("create-replacement");
      const host = `roll-hosts-${node}`;
      // Drained; unhooked; the old machine gone; the new one there; hooked again; well.
      const order = [
        placeOf(steps, `drained-${node}`, "update", "end"),
        placeOf(steps, `${host}-attachment`, "delete-replaced", "end"),
        placeOf(steps, host, "delete-replaced", "end"),
        placeOf(steps, host, "create-replacement", "end"),
        placeOf(steps, `${host}-attachment`, "create-replacement", "end"),
        placeOf(steps, `healthy-${node}`, "update", "begin"),
      ];
      expect(order).not.toContain(-1);
      expect(order).toEqual([...order].sort((one, other) => one - other));
    }
    expect(steps.filter(({ type }) => type === VOLUME)).toEqual([]);
    expectOneAfterTheOther(steps);
  });

  test("a host more touches none that is there", async () => {
    config({ instanceType: "m7g.large", ami: "ami-0123456789abcdef0", nodes: "a,b,c,d" });
    const steps = await upSteps(stack);
    expect(new Set(steps.map(({ op }) => op))).toEqual(new Set(["create"]));
    expect(steps.every(({ name }) => /-d(-|$)/.test(name))).toBe(true);
  });
});

/** Nothing of a host begins before everything of the one before has ended. */
function expectOneAfterTheOther(steps: readonly Step[]): void {
  const hosts = steps.flatMap(({ name }) => OF_HOST.exec(name)?.[1] ?? []);
  expect(new Set(hosts)).toEqual(new Set(NODES));
  expect(hosts).toEqual([...hosts].sort());
}
