import { afterEach, beforeEach, expect, test } from "vitest";
import type { HostPlan } from "../../../../components/host/types.ts";
import { ApplyFailed, apply } from "../../../../plugin/host/agent/apply.ts";
import { remove } from "../../../../plugin/host/agent/take-away.ts";
import { FakeHost } from "./fake-host.ts";

const WHO = { fleet: "f", node: "a" };
const OK = { code: 0, stdout: "", stderr: "" };
const REFUSED = { code: 1, stdout: "", stderr: "the others would be no majority" };

/** A member of something that hosts share, and something of this host alone. */
function plan({ member = true, word = "one" } = {}): HostPlan {
  const unit = { content: "[Service]\nx\n", state: "enabled", order: 10 } as const;
  return {
    packages: [],
    users: {},
    directories: {},
    files: {
      "/etc/word": { content: word, owner: "root", group: "root", mode: "0644" },
      ...(member
        ? { "/etc/members": { content: "a b", owner: "root", group: "root", mode: "0644" } }
        : {}),
    },
    units: {
      "own.service": { ...unit, order: 20 },
      ...(member ? { "member.service": { ...unit, leave: ["leave", "/etc/members"] } } : {}),
    },
    checks: {},
  };
}

let host: FakeHost;
beforeEach(async () => {
  host = new FakeHost();
  await make(plan(), true);
  host.commands.length = 0;
});
afterEach(() => host.remove());

const make = (wanted: HostPlan, first = false) =>
  apply(
    {
      ...{ verb: "apply", ...WHO, plan: wanted, secrets: {}, first, api: null },
      previous: first ? null : { plan: plan(), secrets: {} },
    },
    host,
  );
const takeAway = (drain: boolean) =>
  remove({ verb: "remove", ...WHO, keepData: false, drain, api: null }, host);
const told = () => host.commands.filter((each) => /^(leave|systemctl stop)/.test(each));

test("a unit that no plan names any more leaves the others before it stops, with its files there", async () => {
  host.answers = () => {
    expect(host.read("/etc/members")).toBe("a b");
    return OK;
  };
  await make(plan({ member: false }));
  expect(told()).toEqual(["leave /etc/members", "systemctl stop member.service"]);
  expect(host.read("/etc/members")).toBeNull();
});

test("when that is refused, the host stays as it was, and says why", async () => {
  const before = host.listing();
  host.answers = ([program]) => (program === "leave" ? REFUSED : OK);
  const error = await make(plan({ member: false, word: "two" })).catch((each: unknown) => each);
  expect(error).toBeInstanceOf(ApplyFailed);
  expect(error).toMatchObject({ restored: true });
  expect((error as Error).message).toContain("the others would be no majority");
  expect([host.listing(), told()]).toEqual([before, ["leave /etc/members"]]);
});

test("a unit that stays leaves nobody", async () => {
  await make(plan({ word: "two" }));
  expect(told()).toEqual([]);
});

test("a host that is taken out of a fleet leaves the others first; refused, nothing is touched", async () => {
  const before = host.listing();
  host.answers = () => REFUSED;
  await expect(takeAway(true)).rejects.toThrow("the others would be no majority");
  expect([host.listing(), told()]).toEqual([before, ["leave /etc/members"]]);
  host.answers = () => OK;
  host.commands.length = 0;
  await takeAway(true);
  expect(told()).toEqual([
    "leave /etc/members",
    "systemctl stop own.service",
    "systemctl stop member.service",
  ]);
});

test("at the end of the whole fleet nobody is left", async () => {
  host.answers = () => REFUSED;
  await takeAway(false);
  expect(told()).toEqual(["systemctl stop own.service", "systemctl stop member.service"]);
});
