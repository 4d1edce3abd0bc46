import { expect, test } from "vitest";
import { planFleet } from "../../../stacks/presets.ts";

const host = (name: string, witness = false) => ({ name, witness });

test("listed hosts are the nodes, by their names, and a witness is none", () => {
  const hosts = [host("fra1"), host("fra2"), host("tiny", true)];
  const plan = planFleet({ target: "hosts", preset: "small", hosts });
  expect(plan.nodes).toEqual(["fra1", "fra2"]);
  expect(plan.notes.join()).not.toContain("majority");
  expect(plan.loss.survives).toBe(true);
});

test("two hosts without a witness are told what that costs", () => {
  const plan = planFleet({ target: "hosts", preset: "small", hosts: [host("a"), host("b")] });
  expect(plan.notes.join()).toContain("two nodes have no majority");
  expect(plan.loss).toMatchObject({ survives: false, nodesLeft: 1 });
  expect(plan.loss.sentence).toContain("the loss of the one host that votes stops the service");
});

test("the number of hosts chooses the preset when none is set", () => {
  const hosts = ["a", "b", "c", "d"].map((name) => host(name));
  expect(planFleet({ target: "hosts", hosts }).preset).toBe("medium");
});

test("a preset that such a number of hosts cannot be is refused by naming hosts", () => {
  const plan = () => planFleet({ target: "hosts", preset: "enterprise", hosts: [host("a")] });
  expect(plan).toThrow(/hosts lists 1 that run shards, and preset enterprise has 5 or more/);
});

test("nodes beside a list of another length is refused", () => {
  const plan = () =>
    planFleet({ target: "hosts", nodes: 3, preset: "small", hosts: [host("a"), host("b")] });
  expect(plan).toThrow(/nodes is 3, and hosts lists 2/);
});

test("witnesses alone are refused", () => {
  expect(() => planFleet({ target: "hosts", hosts: [host("a", true)] })).toThrow(/only witnesses/);
});
