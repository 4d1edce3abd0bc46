import { expect, test } from "vitest";
import type { FleetAccess } from "../../../cli/lib/fleet.ts";
import { labelsOf, renderStatus } from "../../../cli/lib/status-text.ts";
import { verdict } from "../../../cli/lib/verdict.ts";
import type { FleetStatus } from "../../../gateway/contract.ts";

const node = (id: string): FleetStatus["nodes"][number] => ({
  id,
  address: "192.0.2.1:7000",
  pid: 1,
  state: "active",
  shards: [],
  version: "1",
  memoryBytes: null,
  seenMsAgo: 0,
});
const status: FleetStatus = {
  fleet: "x",
  nodes: [node("a"), node("b")],
  shards: [],
  store: { kind: "etcd", ok: true },
  heldRequests: 0,
};
const access = { stack: "x", preset: "small", target: "hosts" } as FleetAccess;
const shown = (wide: boolean, labels: Record<string, string>) =>
  renderStatus(status, verdict(status, "x"), { access, wide, labels });

test("the labels of hosts are read by host as the settings have them", () => {
  const hosts = [
    { name: "a", labels: { rack: "7", room: "east" } },
    { name: "b", labels: {} },
    { name: "c" },
  ];
  expect(labelsOf({ hosts })).toEqual({ a: "rack=7 room=east" });
  expect(labelsOf({})).toEqual({});
  expect(labelsOf({ hosts: "no list" })).toEqual({});
});

test("they are shown where there is room for them, and only if there are any", () => {
  const wide = shown(true, { a: "rack=7" });
  expect(wide).toMatch(/^NODE .* LABELS$/m);
  expect(wide).toMatch(/^a .* rack=7$/m);
  expect(wide).toMatch(/^b .* –$/m);
  expect(shown(false, { a: "rack=7" })).not.toContain("rack");
  expect(shown(true, {})).not.toContain("LABELS");
});
