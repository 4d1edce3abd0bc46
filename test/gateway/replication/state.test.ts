import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bootClock } from "../../../gateway/clock.ts";
import { DirectoryTarget } from "../../../gateway/replication/directory-target.ts";
import { parsePosition } from "../../../gateway/replication/manifest.ts";
import { oneSite } from "../../../gateway/replication/sites.ts";
import { ReplicatedState } from "../../../gateway/replication/state.ts";
import { NoState } from "../../../gateway/replication/take.ts";
import { type ReplicaTarget, TargetUnavailable } from "../../../gateway/replication/target.ts";
import { LocalStateStore } from "../../../gateway/state/local.ts";
import { markerOf, stateStoreContract } from "../../contracts/state-store.ts";
import { eventually } from "../../support/eventually.ts";
import { read, Scratch, Writer } from "./fixtures.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
  away = false;
  stalled = null;
});
afterEach(() => scratch.clean());

let away = false;
/** While it is set, puts wait until it ends. */
let stalled: { puts: number; over: Promise<void>; end: () => void } | null = null;
function stall() {
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  stalled = { puts: 0, over, end };
  return stalled;
}
/** The directory target, which can be cut off, and made to take its time. */
function target(): ReplicaTarget {
  const real = new DirectoryTarget(scratch.path("target"));
  const reach = <T>(work: () => Promise<T>): Promise<T> =>
    away ? Promise.reject(new TargetUnavailable("cut off")) : work();
  return {
    name: real.name,
    refusesOldEpochs: true,
    async put(...args) {
      if (stalled) {
        stalled.puts += 1;
        await stalled.over;
      }
      return reach(() => real.put(...args));
    },
    get: (...args) => reach(() => real.get(...args)),
    list: (...args) => reach(() => real.list(...args)),
    remove: (...args) => reach(() => real.remove(...args)),
  };
}

const messages: string[] = [];
const localOf = (name: string, fleet = "f1") =>
  new LocalStateStore({
    dataDir: scratch.path(name),
    fleet,
    log: { warn: (text) => messages.push(text) },
  });
/** A node: its own disk, the common target. */
function node(name: string, boot = "boot", fleet = "f1", local = localOf(name, fleet)) {
  const common = target();
  const state = new ReplicatedState({
    fleet,
    local,
    stateDir: (shard) => scratch.path(name, "shards", shard, "state"),
    sites: oneSite(() => common),
    patienceMs: 0,
    stagingDir: scratch.path(name, "staging"),
    bootId: boot,
    clock: bootClock,
    log: (_level, text) => messages.push(text),
  });
  scratch.after(() => state.close());
  return state;
}
const marker = (name: string, epoch: number, boot = "boot") => ({
  ...markerOf(epoch),
  node: name,
  bootId: boot,
});
const known = (before: number, published: string | null = null) => ({
  before,
  published,
  release: "r1",
});
/** Opens, replicates, and waits for the first manifest. */
async function serve(
  name: string,
  epoch: number,
  published: string | null = null,
  before = epoch - 1,
) {
  const state = node(name);
  const opened = await state.open(marker(name, epoch), known(before, published));
  state.replicate("s1");
  await eventually(() => expect(state.replicated("s1")).toBe(true));
  const writer = new Writer(`${opened.stateDir}/state/openclaw.sqlite`);
  scratch.after(() => writer.database.isOpen && writer.close());
  return { state, opened, writer };
}
const rowsIn = (stateDir: string) => read(`${stateDir}/state/openclaw.sqlite`).rows;
const replicatedRows = (state: ReplicatedState, changes: number) =>
  eventually(() => {
    expect(parsePosition(state.position("s1"))?.changes).toBeGreaterThanOrEqual(changes);
    // In its first millisecond a lag is 0 as well.
    expect(state.condition("s1")?.behindSince).toBeNull();
  });

stateStoreContract("a replicated directory", async () => ({
  open: (fleet = "f1") => node("n1", "b", fleet),
  async tearMarker(shard) {
    const file = scratch.path("n1", "shards", shard, "owner.json");
    writeFileSync(file, readFileSync(file, "utf8").slice(0, 40));
  },
  async plant(shard) {
    mkdirSync(scratch.path("n1", "shards", shard, "state"), { recursive: true });
    writeFileSync(scratch.path("n1", "shards", shard, "state", "theirs"), "precious");
  },
  async close() {},
}));

describe("another node", () => {
  it("may hold its replica at what it took, before anything of its own was replicated", async () => {
    const a = await serve("a", 1);
    a.writer.write(1);
    await replicatedRows(a.state, 2);
    const published = a.state.position("s1");
    await a.state.abandon("s1");
    a.writer.close();
    const b = node("b");
    const { stateDir } = await b.open(marker("b", 2), known(1, published));
    await b.hold("s1", 2, "r2");
    const held = b.position("s1");
    expect(b.replicated("s1")).toBe(true);
    // What a trial writes stays here; whoever comes next gets what was held.
    const writer = new Writer(`${stateDir}/state/openclaw.sqlite`);
    writer.write(2);
    writer.close();
    await b.abandon("s1");
    const next = await node("c").open(marker("c", 3), known(2, held));
    expect(rowsIn(next.stateDir)).toEqual([1]);
  });

  it("goes on from the last manifest of a node that died, and moves older state aside", async () => {
    const a = await serve("a", 1);
    a.writer.write(1);
    a.writer.write(2);
    await replicatedRows(a.state, 3);
    const published = a.state.position("s1");
    await a.state.abandon("s1");
    a.writer.close();

    const b = await serve("b", 2, published);
    expect(b.opened).toMatchObject({ from: "replica", lost: null });
    expect(rowsIn(b.opened.stateDir)).toEqual([1, 2]);
    b.writer.write(3);
    await replicatedRows(b.state, 1);
    const later = b.state.position("s1");
    await b.state.abandon("s1");

    // The first node comes back: what it has is old, but nothing is thrown away before it is healthy.
    const again = await serve("a", 3, later);
    expect(again.opened).toMatchObject({ from: "replica", lost: null });
    expect(rowsIn(again.opened.stateDir)).toEqual([1, 2, 3]);
    const aside = () =>
      readdirSync(scratch.path("a", "shards", "s1")).filter((name) => name.startsWith("aside-"));
    expect(aside()).toEqual(["aside-3"]);
    expect(rowsIn(scratch.path("a", "shards", "s1", "aside-3"))).toEqual([1, 2]);
    expect(await again.state.discardAside("s1")).toBe(1);
    expect(aside()).toEqual([]);
  });

  it("goes on from the replica where all hosts are new, and no lease tells of an owner", async () => {
    const a = await serve("a", 4, null, 0);
    a.writer.write(1);
    await replicatedRows(a.state, 2);
    await a.state.abandon("s1");
    a.writer.close();

    const seen = await node("new").highestEpoch("s1");
    expect(seen).toBe(4);
    const b = await serve("new", seen + 1, null, 0);
    expect(b.opened).toMatchObject({ from: "replica", lost: null });
    expect(rowsIn(b.opened.stateDir)).toEqual([1]);
  });

  it("reports what was published and had not been replicated", async () => {
    const a = await serve("a", 1);
    a.writer.write(1);
    // The table is a commit as well.
    await replicatedRows(a.state, 2);
    away = true;
    for (let n = 2; n <= 6; n++) a.writer.write(n);
    await eventually(() => expect(parsePosition(a.state.position("s1"))?.changes).toBe(7));
    await eventually(() => expect(a.state.lagMs("s1")).toBeGreaterThan(0));
    const published = a.state.position("s1");
    await a.state.abandon("s1");
    away = false;
    const { opened } = await serve("b", 2, published);
    expect(opened.lost).toMatchObject({ changes: 5, manifests: 0 });
    expect(rowsIn(opened.stateDir)).toEqual([1]);
  });

  it("reaches the final manifest of a planned hand-over, and nothing is lost", async () => {
    const a = await serve("a", 1);
    for (let n = 1; n <= 20; n++) a.writer.write(n);
    a.writer.close();
    const position = await a.state.finish("s1", 1);
    expect(parsePosition(position)?.final).toBe(true);
    const b = await serve("b", 2, position);
    expect(b.opened.lost).toBeNull();
    expect(rowsIn(b.opened.stateDir)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
  });

  it("ends the epoch before it, which puts nothing any more", async () => {
    const a = await serve("a", 1);
    a.writer.write(1);
    await replicatedRows(a.state, 2);
    await serve("b", 2, a.state.position("s1"));
    a.writer.write(2);
    const before = a.state.position("s1");
    await expect(eventually(() => a.state.finish("s1", 1))).resolves.not.toMatch(/final/);
    expect(parsePosition(before)?.seq).toBeGreaterThan(0);
    expect(messages.join()).toMatch(/was shown epoch 2/);
  });

  it("does not start without a replica that it can read, nor from an empty one", async () => {
    const a = await serve("a", 1);
    await a.state.abandon("s1");
    away = true;
    const b = node("b");
    await expect(b.open(marker("b", 2), known(1))).rejects.toBeInstanceOf(NoState);
    away = false;
    rmSync(scratch.path("target"), { recursive: true });
    await expect(b.open(marker("b", 3), known(2))).rejects.toThrow(/no manifest that may be read/);
  });
});

describe("the same node", () => {
  it("goes on with what it has, also while the target is away, and seals later", async () => {
    const a = await serve("a", 1);
    a.writer.write(1);
    await replicatedRows(a.state, 2);
    const published = a.state.position("s1");
    away = true;
    a.writer.write(2);
    await a.state.abandon("s1");
    a.writer.close();
    const again = node("a");
    const opened = await again.open(marker("a", 2), known(1, published));
    expect(opened).toMatchObject({ from: "local", lost: null });
    expect(rowsIn(opened.stateDir)).toEqual([1, 2]);
    again.replicate("s1");
    away = false;
    await eventually(() => expect(again.replicated("s1")).toBe(true));
    const seals = readdirSync(scratch.path("target", "epochs", "000000000001-a-i1"));
    expect(seals.some((name) => name.startsWith("sealed-000000000002-a"))).toBe(true);
    await again.abandon("s1");
    const { opened: other } = await serve("b", 3, again.position("s1"));
    expect(rowsIn(other.stateDir)).toEqual([1, 2]);
  });

  describe.each([
    ["a step", async () => {}],
    ["a hold", (state: ReplicatedState) => state.hold("s1", 1, "r2")],
    ["an end", (state: ReplicatedState) => state.finish("s1", 1)],
  ] as const)("gives a shard up in the middle of %s, and claims it again", (what, word) => {
    it.each(["well", "badly"])(
      "only when that is over, which goes %s",
      async (how) => {
        const { state, writer } = await serve("a", 1);
        const slow = stall();
        writer.write(1);
        const said = word(state).then(
          () => "",
          (error: Error) => error.message,
        );
        await eventually(() => expect(slow.puts).toBeGreaterThan(0));
        const abandoned = state.abandon("s1");
        const claimed = state.claim(marker("a", 2)).then(() => "claimed");
        const waits = new Promise((resolve) => setTimeout(resolve, 200, "waits"));
        expect(await Promise.race([claimed, waits])).toBe("waits");
        away = how === "badly";
        slow.end();
        expect(await claimed).toBe("claimed");
        await abandoned;
        expect(await said).toMatch(what === "a hold" ? /given up meanwhile|cut off/ : /^$/);
        expect(await state.marker("s1")).toMatchObject({ epoch: 2, final: false });
        // Nothing of the one before goes on.
        away = false;
        const after = stall();
        writer.write(2);
        await new Promise((resolve) => setTimeout(resolve, 200));
        expect(after.puts).toBe(0);
      },
      15_000,
    );
  });

  it("ends with everything when that is asked for in the middle of a hold", async () => {
    const { state, writer } = await serve("a", 1);
    const slow = stall();
    writer.write(1);
    const held = state.hold("s1", 1, "r2");
    await eventually(() => expect(slow.puts).toBeGreaterThan(0));
    writer.close();
    const ended = state.finish("s1", 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    slow.end();
    await held;
    const last = await ended;
    expect(last).toMatch(/ final$/);
    const next = await node("b").open(marker("b", 2), known(1, last));
    expect(rowsIn(next.stateDir)).toEqual([1]);
  });

  it("ends though its own disk cannot be told so, when the replica has everything", async () => {
    const local = localOf("a");
    const broken = Object.assign(new Error("EROFS: read-only file system"), { code: "EROFS" });
    local.finish = () => Promise.reject(broken);
    const state = node("a", "boot", "f1", local);
    await state.open(marker("a", 1), known(0));
    expect(await state.finish("s1", 1)).toMatch(/ final$/);
    expect(messages.at(-1)).toBe("the end of s1 is not written here: EROFS: read-only file system");
  });

  it("puts nothing in the place of a state whose end has begun, and leaves no copy behind", async () => {
    const { state, opened, writer } = await serve("a", 1);
    writer.write(1);
    const other = new Writer(scratch.path("other", "state", "openclaw.sqlite"));
    other.write(7);
    other.close();
    const adopted = state.adopt("s1", 1, scratch.path("other")).catch((error: Error) => error);
    writer.close();
    const last = await state.finish("s1", 1);
    expect(String(await adopted)).toMatch(/s1 is being ended|given up meanwhile/);
    expect(readdirSync(scratch.path("a", "shards", "s1"))).not.toContain("restoring-1");
    expect(rowsIn(opened.stateDir)).toEqual([1]);
    const next = await node("b").open(marker("b", 2), known(1, last));
    expect(rowsIn(next.stateDir)).toEqual([1]);
  });

  it("goes on with the state it had when another one could not be put in its place", async () => {
    const { state, writer } = await serve("a", 1);
    away = true;
    const other = new Writer(scratch.path("other", "state", "openclaw.sqlite"));
    other.close();
    await expect(state.adopt("s1", 1, scratch.path("other"))).rejects.toThrow(/cut off/);
    expect(readdirSync(scratch.path("a", "shards", "s1"))).not.toContain("restoring-1");
    away = false;
    writer.write(1);
    await replicatedRows(state, 1);
  });

  it("claims a shard only when an end that it makes has said so on its disk", async () => {
    const local = localOf("a");
    const writing = Promise.withResolvers<void>();
    const slow = Promise.withResolvers<void>();
    const finish = local.finish.bind(local);
    local.finish = async (...args) => {
      writing.resolve();
      await slow.promise;
      return finish(...args);
    };
    const state = node("a", "boot", "f1", local);
    await state.open(marker("a", 1), known(0));
    const ended = state.finish("s1", 1);
    await writing.promise;
    const claimed = state.claim(marker("a", 2)).then(() => "claimed");
    const waits = new Promise((resolve) => setTimeout(resolve, 200, "waits"));
    expect(await Promise.race([claimed, waits])).toBe("waits");
    slow.resolve();
    expect(await ended).toMatch(/ final$/);
    await claimed;
    expect(await state.marker("s1")).toMatchObject({ epoch: 2, final: false });
  });

  it("takes up a take that was interrupted between moving aside and putting in place", async () => {
    const a = await serve("a", 1);
    a.writer.write(1);
    await replicatedRows(a.state, 2);
    await a.state.abandon("s1");
    const b = await serve("b", 2);
    b.writer.write(2);
    await replicatedRows(b.state, 1);
    await b.state.abandon("s1");
    // As if node a had died in the middle of its take of epoch 3.
    const folder = scratch.path("a", "shards", "s1");
    rmSync(`${folder}/state`, { recursive: true });
    mkdirSync(`${folder}/restoring-3`);
    writeFileSync(`${folder}/restoring-3/half`, "x");
    const again = await serve("a", 4, null, 3);
    expect(rowsIn(again.opened.stateDir)).toEqual([1, 2]);
    expect(existsSync(`${folder}/restoring-3`)).toBe(false);
  });

  it("replicates state that was there before there was a target", async () => {
    const local = new LocalStateStore({
      dataDir: scratch.path("a"),
      fleet: "f1",
      log: { warn: () => {} },
    });
    const { stateDir } = await local.open(marker("a", 1));
    const writer = new Writer(`${stateDir}/state/openclaw.sqlite`);
    writer.write(1);
    writer.close();
    const a = await serve("a", 2);
    expect(a.opened.from).toBe("local");
    await a.state.abandon("s1");
    const b = await serve("b", 3);
    expect(rowsIn(b.opened.stateDir)).toEqual([1]);
  });

  it("prefers a replica that has everything after a power cut", async () => {
    const a = await serve("a", 1);
    a.writer.write(1);
    await replicatedRows(a.state, 2);
    const published = a.state.position("s1");
    await a.state.abandon("s1");
    a.writer.close();
    const after = node("a", "another boot");
    const opened = await after.open(marker("a", 2, "another boot"), known(1, published));
    expect(opened).toMatchObject({ from: "replica", lost: null });
  });
});
