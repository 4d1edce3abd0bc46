import { describe, expect, test } from "vitest";
import { LEASE } from "../../../gateway/contract.ts";
import type { Lease, NodeRecord, StoreView } from "../../../gateway/leases/store.ts";
import { failureReason, parseFailure } from "../../../gateway/ownership/failure.ts";
import {
  describe as describeState,
  extendable,
  held,
  nodeState,
  publishedState,
  standing,
} from "../../../gateway/ownership/report.ts";
import { initial, step } from "../../../gateway/ownership/rules.ts";
import { type OwnershipState, TIMING } from "../../../gateway/ownership/state.ts";
import type { OwnershipEffect, OwnershipEvent } from "../../../gateway/ownership/types.ts";
import { rank } from "../../../gateway/placement.ts";
import { DRIFT } from "./sim/laws.ts";

/** `s1` likes `first` best, then `second`. */
const [first = "", second = ""] = rank("s1", ["a", "b"]);

function lease(change: Partial<Lease> = {}): Lease {
  const free = { owner: null, incarnation: null, bootId: null, handTo: null, reason: null };
  return { shard: "s1", epoch: 1, beat: 1, release: "r", position: null, ...free, ...change };
}

function record(id: string, change: Partial<NodeRecord> = {}): NodeRecord {
  const pids = { pid: 1, pidStart: "1", keeperPid: 1, keeperPidStart: "1" };
  const rest = { address: "h:1", release: "r", shards: {} };
  return { id, incarnation: `${id}#1`, beat: 1, bootId: "boot", ...pids, ...rest, ...change };
}

function view(change: Partial<StoreView> = {}): StoreView {
  const nodes = { a: record("a"), b: record("b") };
  const rest = { leases: {}, pins: {}, maintenance: {} };
  return { storeId: "store", pristine: true, nodes, ...rest, ...change };
}

/** One node under test: feeds events, keeps the state, returns what is to be done. */
class Subject {
  state: OwnershipState;
  readonly node: string;

  constructor(node = first) {
    this.node = node;
    const self = { node, incarnation: `${node}#1`, bootId: "boot", sameMachine: true };
    this.state = initial(self);
    this.feed({ type: "configured", now: 0, shards: ["s1"], bound: {}, revision: "r1" });
  }

  feed(event: OwnershipEvent): OwnershipEffect[] {
    const { state, effects } = step(this.state, event);
    this.state = state;
    return effects;
  }

  tick(now: number): OwnershipEffect[] {
    return this.feed({ type: "tick", now });
  }

  renewed(now: number, of: Partial<StoreView> = {}, sentAt = now): OwnershipEffect[] {
    const sent = held(this.state).map((h) => ({ ...h, position: null }));
    const kept = sent.map(({ shard }) => shard);
    return this.feed({ type: "renewed", now, sentAt, held: sent, kept, lost: [], view: view(of) });
  }

  /** Takes `s1` with the given epoch and starts it. */
  serve(now: number, epoch = 1): void {
    this.renewed(now);
    this.feed({ type: "acquired", now, sentAt: now, shard: "s1", epoch });
    this.feed({ type: "cleared", now, shard: "s1", epoch });
    this.feed({ type: "serving", now, shard: "s1", epoch });
  }

  /** Its own lease, as the store shows it. */
  own(epoch = 1): Record<string, Lease> {
    const { node } = this;
    return { s1: lease({ owner: node, incarnation: `${node}#1`, bootId: "boot", epoch }) };
  }
}

const does = (effects: OwnershipEffect[]): string[] => effects.map((effect) => effect.do);

describe("taking", () => {
  test("the first choice takes a shard that never had an owner at once, the second waits", () => {
    expect(new Subject(first).renewed(0)).toEqual([
      {
        do: "acquire",
        shard: "s1",
        storeId: "store",
        expected: null,
        epochAbove: 0,
        diskAtMost: 0,
      },
    ]);
    const other = new Subject(second);
    expect(other.renewed(0)).toEqual([]);
    expect(other.tick(LEASE.rankDelayMs - 1)).toEqual([]);
    expect(does(other.tick(LEASE.rankDelayMs))).toEqual(["acquire"]);
  });

  test("in a store that replaced a lost one, an absent lease proves nothing for one TTL", () => {
    const node = new Subject();
    for (let now = 0; now < LEASE.ttlMs; now += 1_000) {
      expect(node.renewed(now, { pristine: false })).toEqual([]);
    }
    expect(does(node.renewed(LEASE.ttlMs, { pristine: false }))).toEqual(["acquire"]);
  });

  test("a lease is dead one TTL after its beat was last seen to move", () => {
    const node = new Subject();
    const at = (beat: number) => ({ leases: { s1: lease({ owner: second, beat }) } });
    node.renewed(0, at(1));
    node.renewed(5_000, at(2));
    for (let now = 6_000; now < 5_000 + LEASE.ttlMs; now += 1_000) {
      expect(node.renewed(now, at(2))).toEqual([]);
    }
    expect(node.renewed(5_000 + LEASE.ttlMs, at(2))).toMatchObject([
      { do: "acquire", expected: { epoch: 1, beat: 2, owner: second }, epochAbove: 1 },
    ]);
  });

  test("on one machine a lease from another boot is dead at once, elsewhere it is not", () => {
    const leases = { s1: lease({ owner: second, bootId: "earlier boot" }) };
    const here = new Subject();
    expect(does(here.renewed(0, { leases }))).toEqual(["acquire"]);
    const there = new Subject();
    there.state = { ...there.state, self: { ...there.state.self, sameMachine: false } };
    expect(there.renewed(0, { leases })).toEqual([]);
  });

  test("a death that the kernel reports counts for exactly that incarnation", () => {
    const leases = { s1: lease({ owner: second, incarnation: "#2", bootId: "boot" }) };
    const node = new Subject();
    node.renewed(0, { leases });
    const dead = { type: "node-dead", now: 1, node: second } as const;
    expect(node.feed({ ...dead, incarnation: "#1" })).toEqual([]);
    expect(does(node.feed({ ...dead, incarnation: "#2" }))).toEqual(["acquire"]);
  });

  test("no shortcut counts in a store that took the place of another", () => {
    const node = new Subject();
    node.renewed(0, { leases: { s1: lease({ owner: second }) } });
    const copy = { storeId: "copy", leases: { s1: lease() } };
    for (let now = 1_000; now < 1_000 + LEASE.ttlMs; now += 1_000) {
      expect(node.renewed(now, copy)).toEqual([]);
    }
    expect(node.renewed(1_000 + LEASE.ttlMs, copy)).toMatchObject([
      { do: "acquire", storeId: "copy" },
    ]);
  });

  test("who it was handed to takes it at once, the others only after one TTL", () => {
    const leases = { s1: lease({ handTo: second }) };
    expect(does(new Subject(second).renewed(0, { leases }))).toEqual(["acquire"]);
    const other = new Subject(first);
    for (let now = 0; now < LEASE.ttlMs; now += 1_000) {
      const nodes = { a: record("a", { beat: now }), b: record("b", { beat: now }) };
      expect(other.renewed(now, { leases, nodes })).toEqual([]);
    }
    expect(does(other.renewed(LEASE.ttlMs, { leases }))).toEqual(["acquire"]);
  });

  test("a node in maintenance, stopping, or cut off from the store takes nothing", () => {
    const maintained = new Subject();
    expect(maintained.renewed(0, { maintenance: { [first]: { since: "" } } })).toEqual([]);
    const stopping = new Subject();
    stopping.feed({ type: "stop", now: 0 });
    expect(stopping.renewed(0)).toEqual([]);
    const cut = new Subject(second);
    cut.renewed(0, { leases: { s1: lease({ owner: first }) } });
    expect(cut.tick(LEASE.ttlMs + LEASE.rankDelayMs)).toEqual([]);
  });

  test("an acquisition without an answer is asked again, and found in the store if it happened", () => {
    const node = new Subject();
    node.renewed(0);
    expect(node.tick(TIMING.askMs - 1)).toEqual([]);
    expect(node.renewed(TIMING.askMs, { leases: node.own() })).toMatchObject([
      { do: "acquire", expected: { epoch: 1, owner: first }, epochAbove: 1 },
    ]);
  });

  test("an answer that comes after its deadline starts nothing", () => {
    const node = new Subject();
    node.renewed(0);
    const late = { type: "acquired", now: LEASE.holdMs, sentAt: 0, shard: "s1", epoch: 1 } as const;
    expect(does(node.feed(late))).not.toContain("clear");
    expect(held(node.state)).toEqual([]);
  });
});

describe("holding", () => {
  test("nothing starts before what was left is gone", () => {
    const node = new Subject();
    node.renewed(0);
    const acquired = { type: "acquired", now: 5, sentAt: 0, shard: "s1", epoch: 1 } as const;
    expect(node.feed(acquired)).toEqual([{ do: "clear", shard: "s1", epoch: 1 }]);
    expect(node.tick(TIMING.repeatMs + 5)).toEqual([{ do: "clear", shard: "s1", epoch: 1 }]);
    const cleared = { type: "cleared", now: 3_000, shard: "s1", epoch: 1 } as const;
    expect(node.feed(cleared)).toEqual([{ do: "start", shard: "s1", epoch: 1 }]);
    expect(node.feed(cleared)).toEqual([]);
  });

  test("the deadline counts from when the renewal was sent", () => {
    const node = new Subject();
    node.serve(0);
    node.renewed(1_900, { leases: node.own() }, 1_000);
    expect(standing(node.state, "s1")).toMatchObject({ deadline: 1_000 + LEASE.holdMs });
    expect(node.tick(1_000 + LEASE.holdMs - 1)).toEqual([]);
    expect(does(node.tick(1_000 + LEASE.holdMs))).toEqual(["kill"]);
  });

  test("a good renewal that arrives after the deadline saves nothing", () => {
    const node = new Subject();
    node.serve(0);
    const effects = node.renewed(LEASE.holdMs, { leases: node.own() }, LEASE.holdMs - 100);
    expect(does(effects)).toEqual(["kill"]);
    expect(extendable(node.state)).toEqual({});
    expect(held(node.state)).toEqual([{ shard: "s1", epoch: 1 }]);
  });

  test("a lost lease is killed and never released", () => {
    const node = new Subject();
    node.serve(0);
    const sent = [{ shard: "s1", epoch: 1, position: null }];
    const lost = {
      type: "renewed",
      now: 9,
      sentAt: 8,
      held: sent,
      kept: [],
      lost: ["s1"],
    } as const;
    const stolen = view({
      leases: { s1: lease({ owner: second, incarnation: `${second}#1`, epoch: 2 }) },
    });
    expect(
      does(node.feed({ ...lost, held: [...sent], kept: [], lost: ["s1"], view: stolen })),
    ).toEqual(["kill"]);
    expect(held(node.state)).toEqual([]);
    expect(node.feed({ type: "emptied", now: 10, shard: "s1", epoch: 1 })).toEqual([]);
    expect(standing(node.state, "s1")).toMatchObject({ at: "peer", node: second, epoch: 2 });
  });

  test("what is said of an older epoch changes nothing", () => {
    const node = new Subject();
    node.serve(0, 3);
    for (const type of ["emptied", "drained", "released", "cleared"] as const) {
      expect(node.feed({ type, now: 1, shard: "s1", epoch: 2 })).toEqual([]);
    }
    expect(standing(node.state, "s1")).toMatchObject({ at: "here", epoch: 3, phase: "running" });
  });

  test("release waits for the empty cage, and is repeated until it is answered", () => {
    const node = new Subject();
    node.serve(0);
    node.tick(LEASE.holdMs);
    expect(does(node.tick(LEASE.holdMs + TIMING.repeatMs))).toEqual(["kill"]);
    const emptied = { type: "emptied", now: 10_000, shard: "s1", epoch: 1 } as const;
    const release = { do: "release", shard: "s1", epoch: 1, handTo: null };
    expect(node.feed(emptied)).toMatchObject([release]);
    expect(node.tick(10_000 + TIMING.repeatMs)).toMatchObject([release]);
    node.feed({ type: "released", now: 13_000, shard: "s1", epoch: 1 });
    expect(held(node.state)).toEqual([]);
  });
});

describe("leaving", () => {
  test("a pin moves the shard: drained, stopped, emptied, released to its heir", () => {
    const node = new Subject();
    node.serve(0);
    const wish = { leases: node.own(), pins: { s1: second } };
    expect(node.renewed(100, wish)).toEqual([
      { do: "drain", shard: "s1", epoch: 1, why: "move", to: second },
    ]);
    const at = { now: 200, shard: "s1", epoch: 1 };
    expect(does(node.feed({ type: "drained", ...at }))).toEqual(["stop"]);
    expect(node.feed({ type: "emptied", ...at })).toEqual([
      { do: "release", shard: "s1", epoch: 1, handTo: second, reason: "move" },
    ]);
  });

  test("a drain whose reason is gone is called off, also when it had just drained", () => {
    const node = new Subject();
    node.serve(0);
    node.renewed(100, { leases: node.own(), pins: { s1: second } });
    const undrain = [{ do: "undrain", shard: "s1", epoch: 1 }];
    expect(node.renewed(200, { leases: node.own() })).toEqual(undrain);
    expect(node.feed({ type: "drained", now: 201, shard: "s1", epoch: 1 })).toEqual([]);
  });

  test("a pin that was put off is a command once it was taken away and comes again", () => {
    const node = new Subject();
    const maintenance = { [second as string]: { since: "" } };
    const pins = { s1: second };
    const at = { now: 0, shard: "s1", epoch: 1 };
    expect(does(node.renewed(0, { pins, maintenance }))).toEqual(["acquire"]);
    node.feed({ type: "acquired", sentAt: 0, ...at });
    node.feed({ type: "cleared", ...at });
    node.feed({ type: "serving", ...at });
    expect(node.renewed(100, { leases: node.own(), pins })).toEqual([]);
    expect(node.renewed(200, { leases: node.own() })).toEqual([]);
    expect(does(node.renewed(300, { leases: node.own(), pins }))).toEqual(["drain"]);
  });

  test("a pin to a node that is away or in maintenance moves nothing", () => {
    const node = new Subject();
    node.serve(0);
    const pins = { s1: second };
    const maintenance = { [second]: { since: "" } };
    expect(node.renewed(100, { leases: node.own(), pins, maintenance })).toEqual([]);
    expect(node.renewed(200, { leases: node.own(), pins: { s1: "gone" } })).toEqual([]);
  });

  test("maintenance drains even when nobody can take the shard", () => {
    const node = new Subject();
    node.serve(0);
    const maintenance = { a: { since: "" }, b: { since: "" } };
    expect(node.renewed(100, { leases: node.own(), maintenance })).toMatchObject([
      { do: "drain", why: "maintenance", to: null },
    ]);
  });

  test("a shard that was removed is drained and released as removed", () => {
    const node = new Subject();
    node.serve(0);
    const gone = { type: "configured", now: 1, shards: [], bound: {}, revision: "r2" } as const;
    expect(node.feed({ ...gone, shards: [] })).toMatchObject([{ do: "drain", why: "removed" }]);
    const at = { now: 2, shard: "s1", epoch: 1 };
    node.feed({ type: "drained", ...at });
    expect(node.feed({ type: "emptied", ...at })).toMatchObject([
      { reason: "removed", handTo: null },
    ]);
  });

  test("a stop hands everything over; then it is done", () => {
    const node = new Subject();
    node.serve(0);
    expect(node.feed({ type: "stop", now: 1 })).toMatchObject([{ do: "drain", to: second }]);
    const at = { now: 2, shard: "s1", epoch: 1 };
    node.feed({ type: "drained", ...at });
    node.feed({ type: "emptied", ...at });
    expect(node.state.stopped).toBe(false);
    node.feed({ type: "released", ...at });
    expect(node.state.stopped).toBe(true);
    expect(describeState(node.state)).toContain("stopped");
  });

  test("a stop does not wait for a store that is away, once what it held has long ended", () => {
    const node = new Subject();
    node.serve(0);
    node.feed({ type: "stop", now: 1 });
    const at = { shard: "s1", epoch: 1 };
    node.feed({ type: "drained", now: 2, ...at });
    node.feed({ type: "emptied", now: 3, ...at });
    const ended = TIMING.holdMs + TIMING.stopMs;
    const told = node.feed({ type: "tick", now: ended - 1 });
    expect([does(told), node.state.stopped]).toEqual([["release"], false]);
    expect(does(node.feed({ type: "tick", now: ended }))).toEqual([]);
    expect(node.state.stopped).toBe(true);
  });

  test("a stop that does not end becomes a kill", () => {
    const node = new Subject();
    node.serve(0);
    node.feed({ type: "stop", now: 1 });
    node.feed({ type: "drained", now: 2, shard: "s1", epoch: 1 });
    for (let now = 1_000; now <= TIMING.stopMs; now += 1_000) {
      expect(does(node.renewed(now, { leases: node.own() }))).toEqual([]);
    }
    expect(does(node.renewed(TIMING.stopMs + 2, { leases: node.own() }))).toEqual(["kill"]);
  });
});

describe("homecoming", () => {
  /** `second` serves, `first` has been there for `LEASE.homecomingMs`. */
  function ready(): { node: Subject; now: number; beat: (state: string) => Partial<StoreView> } {
    const node = new Subject(second);
    node.serve(0);
    let n = 1;
    const beat = (state: string): Partial<StoreView> => {
      n++;
      const report = { state, open: true, epoch: 1, pid: 1, startedAt: null, restarts: 0 };
      const shards = { s1: { ...report, memoryBytes: null, reason: null } };
      const nodes = {
        [first]: record(first, { beat: n }),
        [second]: record(second, { beat: n, shards }),
      };
      return { leases: node.own(), nodes };
    };
    let now = 1;
    for (; now < LEASE.homecomingMs; now += 2_000) {
      expect(node.renewed(now, beat("serving"))).toEqual([]);
    }
    return { node, now, beat };
  }

  test("is announced first and begins with the renewal that carried the announcement", () => {
    const { node, now, beat } = ready();
    expect(node.renewed(now, beat("serving"))).toEqual([]);
    expect(publishedState(node.state, "s1", "serving")).toBe("draining");
    expect(node.renewed(now + 2_000, beat("draining"))).toEqual([
      { do: "drain", shard: "s1", epoch: 1, why: "homecoming", to: first },
    ]);
  });

  test("is withdrawn when the fleet is not calm any more", () => {
    const { node, now, beat } = ready();
    node.renewed(now, beat("serving"));
    const more = { type: "configured", now, bound: {}, revision: "r2" } as const;
    node.feed({ ...more, shards: ["s1", "s2"] });
    expect(does(node.renewed(now + 2_000, beat("draining")))).not.toContain("drain");
    expect(publishedState(node.state, "s1", "serving")).toBe("serving");
  });
});

describe("a shard that cannot run", () => {
  const failed = (nodes: string[], revision = "r1"): Record<string, Lease> => ({
    s1: lease({ reason: failureReason({ nodes, revision, pin: null, why: "exit 78" }) }),
  });

  test("is killed and released with a record of it", () => {
    const node = new Subject();
    node.serve(0);
    const gaveUp = { type: "gave-up", now: 1, shard: "s1", epoch: 1, reason: "exit 78" } as const;
    expect(does(node.feed(gaveUp))).toEqual(["kill"]);
    const [release] = node.feed({ type: "emptied", now: 2, shard: "s1", epoch: 1 });
    if (release?.do !== "release") expect.fail("no release");
    expect(parseFailure(release.reason)).toEqual({
      nodes: [first],
      revision: "r1",
      pin: null,
      why: "exit 78",
    });
  });

  test("is tried by the other node at once, and not again by the one it failed on", () => {
    expect(new Subject(first).renewed(0, { leases: failed([first]) })).toEqual([]);
    expect(does(new Subject(second).renewed(0, { leases: failed([first]) }))).toEqual(["acquire"]);
  });

  test("is failed after two nodes; the longest-waiting one retries every five minutes", () => {
    const leases = failed([second, first]);
    const node = new Subject(second);
    node.renewed(0, { leases });
    expect(standing(node.state, "s1")).toMatchObject({ at: "none", failed: "exit 78" });
    node.renewed(TIMING.failedRetryMs - 1, { leases });
    expect(node.tick(TIMING.failedRetryMs - 1)).toEqual([]);
    expect(does(node.tick(TIMING.failedRetryMs))).toEqual(["acquire"]);
    const other = new Subject(first);
    other.renewed(0, { leases });
    const nodes = { a: record("a", { beat: 2 }), b: record("b", { beat: 2 }) };
    expect(other.renewed(TIMING.failedRetryMs, { leases, nodes })).toEqual([]);
    expect(does(other.tick(TIMING.failedRetryMs + LEASE.rankDelayMs))).toEqual(["acquire"]);
  });

  test("gets a new chance with new settings or another pin", () => {
    const leases = failed([first, second], "r0");
    expect(does(new Subject(first).renewed(0, { leases }))).toEqual(["acquire"]);
    const pinned = { leases: failed([second, first]), pins: { s1: first } };
    expect(does(new Subject(first).renewed(0, pinned))).toEqual(["acquire"]);
  });

  test("a damaged record counts as none", () => {
    expect(parseFailure("failed {")).toBeNull();
    expect(parseFailure('failed {"nodes":[1],"revision":"","pin":null,"why":""}')).toBeNull();
    expect(parseFailure("maintenance")).toBeNull();
  });
});

describe("what others see", () => {
  test("a node is lost when its record stands still, and in maintenance when told so", () => {
    const node = new Subject(first);
    node.renewed(0, { maintenance: { [second]: { since: "" } } });
    expect(nodeState(node.state, second)).toBe("maintenance");
    node.tick(LEASE.ttlMs);
    expect(nodeState(node.state, second)).toBe("lost");
  });
});

test("the numbers of the lease leave room for drift and for waking up", () => {
  const ownerEnds = LEASE.holdMs * (1 + DRIFT) + LEASE.wakeGraceMs;
  const takerMayStart = LEASE.ttlMs * (1 - DRIFT);
  expect(ownerEnds).toBeLessThan(takerMayStart);
  // Two renewals may fail before an owner has to stop.
  expect(3 * LEASE.renewEveryMs + LEASE.renewTimeoutMs).toBeLessThanOrEqual(LEASE.holdMs);
});
