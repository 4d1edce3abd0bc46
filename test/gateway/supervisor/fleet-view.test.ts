import { expect, test } from "vitest";
import type { NodeState } from "../../../gateway/contract.ts";
import type { ShardReport, StoreView } from "../../../gateway/leases/store.ts";
import type { Standing } from "../../../gateway/ownership/report.ts";
import { LiveFleetView } from "../../../gateway/supervisor/fleet-view.ts";
import { fleetConfig } from "../router/fakes.ts";

const REVOKED = { bots: 1, down: [{ bot: "telegram/main", why: "Unauthorized" }] };

const NOBODY: Standing = { at: "none", epoch: 0, failed: null };

/** Epochs of what node `b` serves, which says how its bots do. */
function viewedBy(epochs: Readonly<Record<string, number>>): StoreView {
  const release = "2026.9.6+1";
  const report: Omit<ShardReport, "epoch"> = {
    state: "serving",
    open: true,
    pid: 1,
    startedAt: null,
    restarts: 0,
    memoryBytes: null,
    reason: null,
    channels: REVOKED,
  };
  const of = <T>(make: (shard: string, epoch: number) => T) =>
    Object.fromEntries(Object.entries(epochs).map(([shard, epoch]) => [shard, make(shard, epoch)]));
  const shards = of((_, epoch) => ({ ...report, epoch }));
  return {
    nodes: { b: { id: "b", incarnation: "i", beat: 1, address: "b:1", release, shards } },
    leases: of((shard, epoch) => ({ shard, owner: "b", incarnation: "i", epoch, release })),
  } as never as StoreView;
}

/** s1 is another node's; the router of `a` is asked. */
function viewOf(owner: NodeState, where: (shard: string) => Standing = () => NOBODY) {
  const view = new LiveFleetView({
    node: "a",
    incarnation: "i",
    storeKind: "sqlite",
    clock: { now: () => 0 },
    config: () => fleetConfig(),
    here: () => undefined,
    deadline: () => 0,
    standing: where,
    nodeState: () => owner,
    lookAgain: () => {},
    revision: () => "1",
  });
  view.viewed(viewedBy({ s1: 1 }));
  return view;
}

test("a take-over of a shard that these settings do not name is told like any other", () => {
  const standings = new Map<string, Standing>();
  const view = viewOf("active", (shard) => standings.get(shard) ?? NOBODY);
  const told: string[] = [];
  view.onRoute((shard) => told.push(shard));
  const at = { at: "peer", node: "b", incarnation: "i", epoch: 1, alive: true } as const;
  standings.set("s9", at);
  view.viewed(viewedBy({ s9: 1, "@update": 1 }));
  expect(told).toEqual(["s9"]);
  standings.set("s9", { ...at, epoch: 2 });
  view.viewed(viewedBy({ s9: 2, "@update": 2 }));
  view.viewed(viewedBy({ s9: 2, "@update": 2 }));
  expect(told).toEqual(["s9", "s9"]);
  standings.delete("s9");
  view.viewed(viewedBy({}));
  expect(told).toEqual(["s9", "s9", "s9"]);
});

const statusOf = (owner: NodeState) => viewOf(owner).status().shards;

test("how a shard's bots do is told by every node's router, for as long as the owner lives", () => {
  const [first, second] = statusOf("active");
  expect(first?.channels).toEqual(REVOKED);
  expect(second).not.toHaveProperty("channels");
  expect(statusOf("lost")[0]).not.toHaveProperty("channels");
});

test("a shard is leased while its owner lives: a dead one's lease may stay for ever", () => {
  const peer = { at: "peer", node: "b", incarnation: "i", epoch: 1 } as const;
  expect(viewOf("active", () => ({ ...peer, alive: true })).leased("s1")).toBe(true);
  expect(viewOf("lost", () => ({ ...peer, alive: false })).leased("s1")).toBe(false);
  const here = { at: "here", epoch: 1, deadline: 1, phase: "held" } as never;
  expect(viewOf("active", () => here).leased("s1")).toBe(true);
  expect(viewOf("active").leased("s1")).toBe(false);
});
