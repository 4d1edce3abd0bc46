import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AwsStack, awsStack, PULUMI } from "./harness.ts";
import { placeOf, upSteps } from "./steps.ts";

describe.skipIf(!PULUMI)("the way in under the real engine", () => {
  let stack: AwsStack;
  const config = (lines: Record<string, string>) =>
    stack.settings(Object.entries(lines).map(([key, v]) => `openclaw-fleet:${key}: ${v}`));

  beforeAll(async () => {
    stack = await awsStack({ program: "test/engine/aws/front/index.ts", delayMs: 20 });
    await upSteps(stack);
  });
  afterAll(async () => {
    const gone = await stack.destroy();
    expect(gone.code, gone.text).toBe(0);
    expect((await stack.state()).resources).toEqual([]);
    stack.remove();
  });

  test("a second run changes nothing; routers that came get the requests by one change", async () => {
    expect(await upSteps(stack)).toEqual([]);
    config({ runtime: "true" });
    const changed = (await upSteps(stack)).map(({ op, name }) => `${op} ${name}`);
    expect(new Set(changed)).toEqual(new Set(["update front-edge-https"]));
  });

  test("a further name makes a new certificate, and the old one goes when none uses it", async () => {
    config({ runtime: "true", names: '"*.chat.example.com www.chat.example.com"' });
    const steps = await upSteps(stack);
    const order = [
      placeOf(steps, "front-edge-certificate", "create-replacement", "end"),
      placeOf(steps, "front-edge-validated", "create-replacement", "end"),
      placeOf(steps, "front-edge-https", "update", "end"),
      placeOf(steps, "front-edge-certificate", "delete-replaced", "begin"),
    ];
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((one, other) => one - other));
  });

  test("from a balancer to hosts and back nothing is left over", async () => {
    config({ front: "dns", waf: "false" });
    await upSteps(stack);
    const types = (await stack.state()).resources.map(({ type }) => type);
    expect(types).not.toContain("aws:lb/loadBalancer:LoadBalancer");
    expect(types.filter((type) => type === "aws:route53/healthCheck:HealthCheck")).toHaveLength(2);
    config({ runtime: "true" });
    await upSteps(stack);
    expect(await upSteps(stack)).toEqual([]);
  });
});
