import { expect, test } from "vitest";
import { readFacts } from "../../policies/facts.ts";

const read = (settings: Record<string, unknown>) =>
  readFacts({ stack: "prod", settings, today: "2026-11-21" });

test("an empty stack is one for trying things out", () => {
  expect(read({})).toMatchObject({
    stack: "prod",
    environment: "dev",
    preset: "solo",
    presetSet: false,
    copies: false,
    gpus: 0,
    severities: {},
    exceptions: undefined,
  });
});

test("settings count as YAML has them, and as Pulumi writes objects down", () => {
  const object = { permissionsBoundaryArn: "arn:aws:iam::1:policy/b" };
  for (const aws of [object, JSON.stringify(object)])
    expect(read({ "openclaw-fleet:aws": aws }).permissionsBoundaryArn).toBe(
      object.permissionsBoundaryArn,
    );
  for (const budget of [250, "250"])
    expect(read({ "openclaw-fleet:budgetMonthlyUsd": budget }).budgetMonthlyUsd).toBe(250);
});

test.each([
  [{ preset: "enterprise" }, "enterprise", true],
  [{ users: 49 }, "solo", false],
  [{ users: 50 }, "small", false],
  [{ users: 201 }, "medium", true],
  [{ users: 1001 }, "enterprise", true],
  [{ users: 10, nodes: 3 }, "small", false],
  [{ users: 10, nodes: 5 }, "medium", true],
])("%j is preset %s, with copies of stores: %s", (settings, preset, copies) => {
  const named = Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [`openclaw-fleet:${key}`, value]),
  );
  expect(read(named)).toMatchObject({ preset, copies });
});

test("wrong settings count as left out: the program refuses them", () => {
  const facts = read({
    "openclaw-fleet:environment": "production",
    "openclaw-fleet:policies": "none",
    "openclaw-fleet:tags": ["a"],
  });
  expect(facts).toMatchObject({ environment: "dev", tags: {}, instanceFamilies: [] });
});
