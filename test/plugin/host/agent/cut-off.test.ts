import { statSync, utimesSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostPlan } from "../../../../components/host/types.ts";
import { ApplyFailed, apply } from "../../../../plugin/host/agent/apply.ts";
import { observe } from "../../../../plugin/host/agent/observe.ts";
import type { NodeApiAccess } from "../../../../plugin/host/agent/protocol.ts";
import { remove } from "../../../../plugin/host/agent/take-away.ts";
import { FakeHost } from "./fake-host.ts";
import { FakeNode } from "./fake-node.ts";

const WHO = { fleet: "f", node: "a" };
const OK = { code: 0, stdout: "", stderr: "" };
const REFUSED = { code: 1, stdout: "", stderr: "the others would be no majority" };
const MEMBERS = "/etc/members";
const LEFT = "/etc/left";

/** A node, and a member of something that hosts share. */
function plan(word = "one"): HostPlan {
  const own = { owner: "root", group: "root", mode: "0644" };
  const unit = { content: "[Service]\nx\n", state: "enabled" } as const;
  return {
    packages: [],
    users: {},
    directories: {},
    files: { "/etc/word": { content: word, ...own }, [MEMBERS]: { content: "a b c", ...own } },
    units: {
      "member.service": { ...unit, order: 10, leave: ["leave", MEMBERS] },
      "node.service": {
        ...{ ...unit, order: 20, drains: true },
        ...{ restartOn: ["/etc/word"], verify: ["verify"] },
      },
    },
    checks: {},
  };
}

let host: FakeHost;
let node: FakeNode;
let api: NodeApiAccess;
/** The node's router does not answer yet. */
let slow: boolean;
const isActive = (name: string) => host.units.get(name)?.active === true;

beforeEach(async () => {
  slow = false;
  // What an agent that was killed would still ask for is not asked.
  node = new FakeNode(() => isActive("node.service") && !slow && host.killAt > 0);
  api = await node.listen();
  await freshHost();
});
afterEach(async () => {
  await node.close();
  host.remove();
});

/** A host that serves, whose member keeps the rules of gateway/etcd: out of its cluster it ends, and stays away. */
async function freshHost(): Promise<void> {
  host = new FakeHost();
  host.answers = ([program]) => (program === "leave" ? left() : OK);
  host.starts = (name) => (name === "member.service" && mustStayAway() ? "told to leave" : null);
  await change(plan(), true);
  setBack(MEMBERS, 20);
  node.calls.length = 0;
  host.commands.length = 0;
}

function left() {
  // Its user's file, in a home of its own.
  writeFileSync(host.path(LEFT), "");
  setBack(LEFT, 10);
  const member = host.units.get("member.service");
  if (member) member.active = false;
  return OK;
}

/** Tests take less time than a clock of files counts. */
function setBack(path: string, seconds: number): void {
  const then = Date.now() / 1_000 - seconds;
  utimesSync(host.path(path), then, then);
}

const writtenAt = (path: string) =>
  host.read(path) === null ? 0 : statSync(host.path(path)).mtimeMs;
const mustStayAway = () => writtenAt(LEFT) > 0 && writtenAt(LEFT) >= writtenAt(MEMBERS);

const change = (wanted: HostPlan, first = false) => {
  host.gone = new AbortController();
  return apply(
    {
      ...{ verb: "apply", ...WHO, plan: wanted, secrets: {}, first, api },
      previous: first ? null : { plan: plan(), secrets: {} },
    },
    host,
  );
};
const takeAway = () => remove({ verb: "remove", ...WHO, keepData: false, drain: true, api }, host);
const differences = async () =>
  (await observe({ verb: "observe", ...WHO, plan: plan(), secrets: {} }, host)).differences;
const told = () => host.commands.filter((each) => /^(leave|systemctl stop)/.test(each));

/** Cuts off what is under way as soon as it says so. */
async function cutOff(work: Promise<unknown>, at: string): Promise<void> {
  const ended = work.then(
    () => "over",
    () => "cut off",
  );
  while (!host.said.some((line) => line.startsWith(at))) {
    await new Promise((done) => setImmediate(done));
  }
  host.gone.abort();
  expect(await ended).toBe("cut off");
}

describe("a change that was cut off", () => {
  test("is seen, and the plan before it brings all of it back, with the node in service", async () => {
    host.starts = () => {
      slow = true;
      return null;
    };
    await cutOff(change(plan("two")), "waiting: ");
    expect([host.read("/etc/word"), node.state]).toEqual(["two", "maintenance"]);
    expect(await differences()).toHaveProperty(["change"]);
    slow = false;
    host.starts = () => null;
    await change(plan());
    expect([host.read("/etc/word"), node.state]).toEqual(["one", "active"]);
    expect(await differences()).toEqual({});
  });

  test("has not left the host as it was when the node does not go on", async () => {
    host.answers = ([program]) => (program === "verify" ? { ...OK, code: 1 } : OK);
    const refused = async () => {
      const error: unknown = await change(plan("two")).catch((each: unknown) => each);
      expect(error).toBeInstanceOf(ApplyFailed);
      return (error as ApplyFailed).restored;
    };
    node.refuses = "resume";
    expect(await refused()).toBe(false);
    node.refuses = "";
    expect(await refused()).toBe(true);
    expect([host.read("/etc/word"), node.state]).toEqual(["one", "active"]);
  });
});

describe("a host that is taken out of a fleet", () => {
  test("is emptied, then leaves the others, then is stopped", async () => {
    host.answers = ([program]) => {
      if (program === "leave") node.calls.push("left");
      return OK;
    };
    await takeAway();
    expect(node.calls).toEqual(["drain", "left"]);
    expect(told()).toEqual([
      `leave ${MEMBERS}`,
      "systemctl stop node.service",
      "systemctl stop member.service",
    ]);
  });

  test("is as it was when its node is not emptied, or nobody waits for that any more", async () => {
    const before = host.listing();
    node.refuses = "drain";
    await expect(takeAway()).rejects.toThrow("not now");
    expect([node.calls, node.state]).toEqual([["drain", "resume"], "active"]);
    node.refuses = "";
    node.keeps = true;
    await cutOff(takeAway(), "draining s1");
    expect(node.state).toBe("active");
    expect([host.listing(), told()]).toEqual([before, []]);
    expect(await differences()).toEqual({});
  });

  test("is as it was when its member must not leave", async () => {
    const before = host.listing();
    host.answers = () => REFUSED;
    await expect(takeAway()).rejects.toThrow("the others would be no majority");
    expect([node.calls, node.state]).toEqual([["drain", "resume"], "active"]);
    expect([host.listing(), told()]).toEqual([before, [`leave ${MEMBERS}`]]);
  });

  test("waits for the shards of a node that a person had set aside, and leaves it so when refused", async () => {
    node.state = "maintenance";
    host.answers = () => REFUSED;
    await expect(takeAway()).rejects.toThrow("the others would be no majority");
    expect([node.owner, node.state, node.calls]).toEqual(["b", "maintenance", ["drain"]]);
  });

  test.each([false, true])(
    "is a member again when it is put back, wherever its removal was cut off (after: %s)",
    async (late) => {
      for (let at = 1; ; at++) {
        host.killAt = at;
        host.killLate = late;
        const over = await takeAway().then(
          () => true,
          () => false,
        );
        host.killAt = Number.POSITIVE_INFINITY;
        if (over) {
          expect(at).toBeGreaterThan(10);
          break;
        }
        await change(plan());
        expect([isActive("member.service"), isActive("node.service")], `${at}`).toEqual([
          true,
          true,
        ]);
        expect([await differences(), node.state], `${at}`).toEqual([{}, "active"]);
        host.remove();
        node.owner = "a";
        await freshHost();
      }
    },
  );
});
