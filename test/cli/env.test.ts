import { afterAll, beforeAll, expect, test } from "vitest";
import { Home } from "./fixtures.ts";

let home: Home;

beforeAll(() => {
  home = new Home();
  home.stacks({});
});
afterAll(() => home.remove());

test("env names the stack that a plain pulumi works on, where one was named", async () => {
  const named = await home.run(["env", "--stack", "prod"]);
  expect(named).toMatchObject({ code: 0, stdout: expect.stringMatching(/^export PATH=/m) });
  expect(named.stdout).toContain("export PULUMI_STACK='prod'\n");
  const { variables } = JSON.parse((await home.run(["env", "--json"])).stdout);
  expect(variables).not.toHaveProperty("PULUMI_STACK");
});
