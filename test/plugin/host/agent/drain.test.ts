import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostPlan } from "../../../../components/host/types.ts";
import { ApplyFailed, apply } from "../../../../plugin/host/agent/apply.ts";
import { drain } from "../../../../plugin/host/agent/drain.ts";
import { observe } from "../../../../plugin/host/agent/observe.ts";
import type { ApplyRequest, NodeApiAccess } from "../../../../plugin/host/agent/protocol.ts";
import { FakeHost } from "./fake-host.ts";
import { FakeNode } from "./fake-node.ts";

const WHO = { fleet: "f", node: "a" };
const OK = { code: 0, stdout: "", stderr: "" };
const PLAN: HostPlan = {
  packages: [],
  users: {},
  directories: {},
  files: {},
  units: {
    "toy.service": { content: "[Service]\ntoy\n", state: "enabled", order: 20, drains: true },
  },
  checks: {
    all: { argv: ["check", "all"], deadlineSeconds: 1, remedy: "Mend all.", needsFleet: true },
  },
};

let host: FakeHost;
let node: FakeNode;
let api: NodeApiAccess;
const running = () => host.units.get("toy.service")?.active === true;

beforeEach(async () => {
  host = new FakeHost();
  node = new FakeNode(running);
  api = await node.listen();
  await make({ first: true });
});
afterEach(async () => {
  await node.close();
  host.remove();
});

const make = (more: Partial<ApplyRequest> = {}) =>
  apply(
    {
      ...{ verb: "apply", ...WHO, plan: PLAN, secrets: {}, first: false, api },
      ...{ previous: null, ...more },
    },
    host,
  );
const empty = () => drain({ verb: "drain", ...WHO, api }, host);
const differences = async () =>
  (await observe({ verb: "observe", ...WHO, plan: PLAN, secrets: {} }, host)).differences;
/** What AWS does to a machine whose type changes. */
const restartMachine = () => host.units.set("toy.service", { ...unit(), active: true });
const unit = () => {
  const found = host.units.get("toy.service");
  if (!found) throw new Error("toy.service was never made");
  return found;
};

describe("a node whose machine is about to be stopped", () => {
  test("is emptied, stays so, and takes shards again when its machine is back", async () => {
    expect(await empty()).toEqual({ drained: true });
    expect([node.calls, node.state]).toEqual([["drain"], "maintenance"]);
    expect(await differences()).toHaveProperty(["change"]);
    restartMachine();
    await make({ restarted: { emptied: true } });
    expect([node.calls, node.state]).toEqual([["drain", "resume"], "active"]);
    expect(await differences()).toEqual({});
  });

  test("is left alone when a person set it aside, before and after", async () => {
    node.state = "maintenance";
    expect(await empty()).toEqual({ drained: false });
    restartMachine();
    await make({ restarted: { emptied: false } });
    expect([node.calls, node.state]).toEqual([[], "maintenance"]);
  });

  test("keeps its shards where nobody could take them", async () => {
    node.others = [];
    expect(await empty()).toEqual({ drained: false });
    expect(await differences()).toEqual({});
    expect(node.calls).toEqual([]);
  });

  test("is emptied again by a run after one that was cut off: that was no person", async () => {
    expect(await empty()).toEqual({ drained: true });
    expect(await empty()).toEqual({ drained: true });
  });

  test("with nothing of the fleet on it, or no node, is nobody's concern", async () => {
    expect(await drain({ verb: "drain", ...WHO, api: null }, host)).toEqual({ drained: false });
    const blank = new FakeHost();
    expect(await drain({ verb: "drain", ...WHO, api }, blank)).toEqual({ drained: false });
    blank.remove();
    expect(node.calls).toEqual([]);
  });
});

describe("a machine that is back", () => {
  test("takes shards again only after it reaches the store", async () => {
    await empty();
    node.store = false;
    const before = host.said.length;
    const made = make({ restarted: { emptied: true } });
    while (!host.said.slice(before).some((line) => line.includes("reach the fleet's store"))) {
      await new Promise((done) => setImmediate(done));
    }
    expect(node.calls).toEqual(["drain"]);
    node.store = true;
    await made;
    expect(node.calls).toEqual(["drain", "resume"]);
  });

  test("has to pass what needs the fleet when the fleet took its shards, whatever holds at first", async () => {
    await empty();
    host.answers = () => ({ ...OK, code: 1, stderr: "no majority" });
    const failed = await make({ restarted: { emptied: true } }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(ApplyFailed);
    expect((failed as Error).message).toContain("no majority");
  });

  test("is waited for, and gone on without, where nobody knows whether the fleet was there", async () => {
    host.answers = () => ({ ...OK, code: 1, stderr: "no majority" });
    await make({ restarted: { emptied: false } });
    expect(host.said.at(-1)).toContain("going on without it: all: not so within 1 s");
    const asked = host.commands.filter((command) => command.includes("check all"));
    expect(asked.length).toBeGreaterThan(1);
  });

  test("that is another one gets everything again, and its node its shards", async () => {
    await empty();
    host.remove();
    host = new FakeHost();
    await make({ first: true, restarted: { emptied: true } });
    expect(running()).toBe(true);
    expect([node.calls, node.state]).toEqual([["drain", "resume"], "active"]);
    expect(await differences()).toEqual({});
  });
});
