import { rmSync } from "node:fs";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Collector } from "../../../gateway/replication/collector.ts";
import { DirectoryTarget } from "../../../gateway/replication/directory-target.ts";
import { parsePlace } from "../../../gateway/replication/history.ts";
import { Bandwidth, limited } from "../../../gateway/replication/limited-target.ts";
import { CHUNKS, chunkKey, EPOCHS } from "../../../gateway/replication/manifest.ts";
import { everywhere } from "../../../gateway/replication/peer-sites.ts";
import { ReplicaReader } from "../../../gateway/replication/reader.ts";
import { KEEP, keepOf } from "../../../gateway/replication/retention.ts";
import {
  chooseSite,
  LEAVE_MS,
  NO_WATCH,
  SETTLE_MS,
  SHUN_MS,
  type Site,
  type Sites,
  splitSite,
  withSite,
} from "../../../gateway/replication/sites.ts";
import { ReplicatedState } from "../../../gateway/replication/state.ts";
import { NoState } from "../../../gateway/replication/take.ts";
import { type ReplicaTarget, TargetUnavailable } from "../../../gateway/replication/target.ts";
import { LocalStateStore } from "../../../gateway/state/local.ts";
import { markerOf } from "../../contracts/state-store.ts";
import { eventually } from "../../support/eventually.ts";
import { read, Scratch, Writer } from "./fixtures.ts";

describe("the site of a replica", () => {
  const at = (now: number, present: Site, preferred: Site[], watch = NO_WATCH, failingMs = 0) =>
    chooseSite(watch, { preferred, present, failingMs, now });

  it("stays while another one is preferred for as long as a node takes to start anew", () => {
    const first = at(0, "b", ["c", "b"]);
    expect(first.site).toBe("b");
    expect(at(SETTLE_MS - 1, "b", ["c", "b"], first.watch).site).toBe("b");
    expect(at(SETTLE_MS, "b", ["c", "b"], first.watch).site).toBe("c");
    const again = at(SETTLE_MS - 1, "b", ["b", "c"], first.watch);
    expect(at(SETTLE_MS, "b", ["c", "b"], again.watch).site).toBe("b");
  });

  it("is left at once when its host is no host of the fleet any more", () => {
    expect(at(0, "x", ["b", "c"]).site).toBe("b");
  });

  it("is left when it fails, and not gone back to for a while", () => {
    expect(at(0, "b", ["b", "c"], NO_WATCH, LEAVE_MS - 1).site).toBe("b");
    const left = at(0, "b", ["b", "c"], NO_WATCH, LEAVE_MS);
    expect(left.site).toBe("c");
    expect(at(SHUN_MS - 1, "c", ["b", "c"], left.watch).site).toBe("c");
    const wishing = at(SHUN_MS, "c", ["b", "c"], left.watch);
    expect(at(SHUN_MS + SETTLE_MS, "c", ["b", "c"], wishing.watch).site).toBe("b");
  });

  it("is the one left longest ago when all fail, and itself when there is no other", () => {
    const b = at(0, "b", ["b", "c"], NO_WATCH, LEAVE_MS);
    const c = at(10_000, "c", ["b", "c"], b.watch, LEAVE_MS);
    expect(c.site).toBe("b");
    expect(at(0, null, [null], NO_WATCH, 60_000).site).toBeNull();
  });

  it("is always one that is preferred, and moves only when it fails, is gone or is outranked", () => {
    const site = fc.constantFrom<Site[]>("a", "b", "c", "d");
    fc.assert(
      fc.property(
        fc.uniqueArray(site, { minLength: 1 }),
        site,
        fc.nat(20_000),
        fc.nat(1e6),
        (preferred, present, failingMs, now) => {
          const { site: next } = at(now, present, preferred, NO_WATCH, failingMs);
          if (next === present) return true;
          return (
            preferred.includes(next) && (failingMs >= LEAVE_MS || !preferred.includes(present))
          );
        },
      ),
    );
  });

  it("is part of what is published", () => {
    expect(splitSite(withSite("000000000001-n-i/3+4 final", "n2"))).toEqual({
      position: "000000000001-n-i/3+4 final",
      site: "n2",
    });
    expect(splitSite("000000000001-n-i/3+4")).toEqual({
      position: "000000000001-n-i/3+4",
      site: null,
    });
    expect(splitSite(null)).toEqual({ position: null, site: null });
  });
});

describe("a shard whose hosts keep each other's replicas", () => {
  let scratch: Scratch;
  let away: Set<string>;
  let preferred: string[];
  beforeEach(() => {
    scratch = new Scratch();
    away = new Set();
    targets = new Map();
  });
  afterEach(() => scratch.clean());

  let targets: Map<Site, ReplicaTarget>;
  const target = (site: Site): ReplicaTarget => {
    const known = targets.get(site) ?? targetAt(site);
    targets.set(site, known);
    return known;
  };
  /** Whoever holds it never reaches its site again. */
  const endWay = (old: ReplicaTarget) => {
    const end = () => Promise.reject(new TargetUnavailable("dialled in vain"));
    Object.assign(old, { put: end, get: end, list: end, remove: end });
  };
  const targetAt = (site: Site): ReplicaTarget => {
    const real = new DirectoryTarget(scratch.path("site", String(site)));
    const reach = <T>(work: () => Promise<T>): Promise<T> =>
      away.has(String(site)) ? Promise.reject(new TargetUnavailable("cut off")) : work();
    return {
      name: real.name,
      refusesOldEpochs: true,
      put: (...args) => reach(() => real.put(...args)),
      get: (...args) => reach(() => real.get(...args)),
      list: (...args) => reach(() => real.list(...args)),
      remove: (...args) => reach(() => real.remove(...args)),
    };
  };
  const hosts = ["a", "b", "c"];
  const sites = (self: string): Sites => ({
    preferred: () => preferred.filter((site) => site !== self),
    target: (_, site) => target(site),
    source: (_, site) => (site === null ? everywhere(hosts.map(target)) : target(site)),
  });
  /** A clock that runs, and can be turned on: waiting a minute is nothing to test. */
  let ahead = 0;
  function node(name: string): ReplicatedState {
    const dataDir = scratch.path(name);
    const state = new ReplicatedState({
      fleet: "f1",
      local: new LocalStateStore({ dataDir, fleet: "f1", log: { warn() {} } }),
      stateDir: (shard) => scratch.path(name, "shards", shard, "state"),
      sites: sites(name),
      stagingDir: scratch.path(name, "staging"),
      bootId: "boot",
      patienceMs: 0,
      clock: { now: () => performance.now() + ahead },
      log() {},
    });
    scratch.after(() => state.close());
    return state;
  }
  async function serve(name: string, epoch: number, published: string | null) {
    const state = node(name);
    const marker = { ...markerOf(epoch), node: name };
    const opened = await state.open(marker, { before: epoch - 1, published, release: "r1" });
    state.replicate("s1");
    await eventually(() => expect(state.replicated("s1")).toBe(true));
    const writer = new Writer(`${opened.stateDir}/state/openclaw.sqlite`);
    scratch.after(() => writer.database.isOpen && writer.close());
    return { state, opened, writer };
  }
  const current = (state: ReplicatedState, changes: number) =>
    eventually(() => {
      const found = /\+(\d+)/.exec(state.position("s1") ?? "")?.[1];
      expect(Number(found)).toBeGreaterThanOrEqual(changes);
      expect(state.condition("s1")?.behindSince).toBeNull();
    });
  const rows = (stateDir: string) => read(`${stateDir}/state/openclaw.sqlite`).rows;

  it("goes on from the host that was published, and is then kept on another one", async () => {
    preferred = ["a", "b", "c"];
    const a = await serve("a", 1, null);
    a.writer.write(1);
    await current(a.state, 2);
    const published = a.state.position("s1");
    expect(published).toMatch(/ @b$/);
    await a.state.abandon("s1");
    a.writer.close();

    // The host with the replica takes over, and cannot be its own replica.
    const b = await serve("b", 2, published);
    expect(b.opened).toMatchObject({ from: "replica", lost: null });
    expect(rows(b.opened.stateDir)).toEqual([1]);
    // Until another host has it, the position names the one that has.
    expect(b.opened.position).toMatch(/ @b$/);
    b.writer.write(2);
    await current(b.state, 1);
    expect(b.state.position("s1")).toMatch(/ @a$/);
    const last = await b.state.finish("s1", 2);
    expect(last).toMatch(/ final @a$/);
    b.writer.close();

    const c = await serve("c", 3, last);
    expect(c.opened).toMatchObject({ from: "replica", lost: null });
    expect(rows(c.opened.stateDir)).toEqual([1, 2]);
  });

  it("moves when its host is lost, and everything is there", async () => {
    preferred = ["b", "c"];
    const a = await serve("a", 1, null);
    a.writer.write(1);
    await current(a.state, 2);
    const before = a.state.position("s1");
    expect(before).toMatch(/ @b$/);
    away.add("b");
    a.writer.write(2);
    await eventually(() => expect(a.state.condition("s1")?.failing).toBe(true));
    // Where nothing new is yet, what is published stays.
    expect(a.state.position("s1")).toMatch(/ @b$/);
    ahead += LEAVE_MS;
    await eventually(() => expect(a.state.position("s1")).toMatch(/ @c$/));
    await current(a.state, 3);
    const published = a.state.position("s1");
    await a.state.abandon("s1");
    a.writer.close();

    const c = node("c");
    const marker = { ...markerOf(2), node: "c" };
    const opened = await c.open(marker, { before: 1, published, release: "r1" });
    expect(opened).toMatchObject({ from: "replica", lost: null });
    expect(rows(opened.stateDir)).toEqual([1, 2]);
  }, 60_000);

  it("follows a host that is somewhere else now, and gives it all that it may miss", async () => {
    preferred = ["b"];
    const a = await serve("a", 1, null);
    a.writer.write(1);
    await current(a.state, 2);
    expect(a.state.position("s1")).toMatch(/ @b$/);
    // A new machine has its name, and nothing of its disk.
    endWay(target("b"));
    rmSync(scratch.path("site", "b"), { recursive: true });
    targets.delete("b");
    a.writer.write(2);
    await current(a.state, 3);
    expect(a.state.condition("s1")?.failing).toBe(false);
    const published = a.state.position("s1");
    await a.state.abandon("s1");
    a.writer.close();

    const c = await serve("c", 2, published);
    expect(c.opened).toMatchObject({ from: "replica", lost: null });
    expect(rows(c.opened.stateDir)).toEqual([1, 2]);
  });

  it("seals at a host that came back somewhere else what was taken over without it", async () => {
    preferred = ["b"];
    const a = await serve("a", 1, null);
    a.writer.write(1);
    await current(a.state, 2);
    const published = a.state.position("s1");
    await a.state.abandon("s1");
    away.add("b");
    a.writer.write(2);
    a.writer.close();
    const again = node("a");
    const marker = { ...markerOf(2), node: "a" };
    const opened = await again.open(marker, { before: 1, published, release: "r1" });
    expect(opened.from).toBe("local");
    again.replicate("s1");
    await eventually(() => expect(again.condition("s1")?.failing).toBe(true));
    endWay(target("b"));
    targets.delete("b");
    away.delete("b");
    await eventually(() => expect(again.replicated("s1")).toBe(true));
  });

  it("is given to the next host while its gateway boots", async () => {
    preferred = ["a", "b", "c"];
    const a = await serve("a", 1, null);
    a.writer.write(1);
    await current(a.state, 2);
    const published = a.state.position("s1");
    await a.state.abandon("s1");
    a.writer.close();

    const b = node("b");
    const marker = { ...markerOf(2), node: "b" };
    await b.open(marker, { before: 1, published, release: "r1" });
    const [place] = /^[^+]+/.exec(published ?? "") ?? [""];
    const reader = new ReplicaReader(target("b"), "f1", "s1");
    const needed = await new Collector(target("b"), reader, 2).chunksOf(parsePlace(place));
    await eventually(async () => {
      const there = (await target("a").list(CHUNKS)).map(({ key }) => key);
      expect(there.sort()).toEqual([...needed].map(chunkKey).sort());
    });
    expect(await target("a").list(EPOCHS)).toEqual([]);
    expect(b.replicated("s1")).toBe(false);
    b.replicate("s1");
    await eventually(() => expect(b.position("s1")).toMatch(/ @a$/));
  });

  it("waits for the host that has it, rather than begin with less", async () => {
    preferred = ["b", "c"];
    const a = await serve("a", 1, null);
    a.writer.write(1);
    await current(a.state, 2);
    const published = a.state.position("s1");
    await a.state.abandon("s1");
    a.writer.close();
    away.add("b");
    await expect(serve("c", 2, published)).rejects.toBeInstanceOf(NoState);
    away.delete("b");
    const c = await serve("c", 3, published);
    expect(rows(c.opened.stateDir)).toEqual([1]);
  });
});

describe("a bandwidth", () => {
  it("lets a second's worth go at once, and the rest at its rate, in order", async () => {
    let now = 10_000;
    const waits: number[] = [];
    const bandwidth = new Bandwidth(
      1_000,
      { now: () => now },
      {
        after(ms, fn) {
          waits.push(ms);
          fn();
          return () => {};
        },
      },
    );
    await bandwidth.pay(600);
    await bandwidth.pay(400);
    expect(waits).toEqual([]);
    await bandwidth.pay(500);
    await bandwidth.pay(500);
    expect(waits).toEqual([500, 1_000]);
    now += 60_000;
    await bandwidth.pay(1_000);
    expect(waits).toHaveLength(2);
  });

  it("limits what is put, not what is read", async () => {
    const paid: number[] = [];
    const real = {
      name: "t",
      refusesOldEpochs: true,
      put: async () => "stored" as const,
      get: async () => Buffer.alloc(5),
      list: async () => [],
      remove: async () => {},
    };
    const bandwidth = {
      pay: async (bytes: number) => {
        paid.push(bytes);
      },
    } as unknown as Bandwidth;
    const target = limited(real, bandwidth);
    await target.put("a", Buffer.alloc(3), 1);
    await target.get("a");
    expect(paid).toEqual([3]);
  });
});

it("keeps by its settings what is kept without them", () => {
  expect(keepOf({ minutesForHours: 1, hoursForDays: 1, daysForDays: 30 })).toEqual(KEEP);
});
