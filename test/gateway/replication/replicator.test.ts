import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { chunkHash, encodeChunk } from "../../../gateway/replication/chunks.ts";
import {
  chunkKey,
  encodeFiles,
  encodeManifest,
  manifestKey,
  type Place,
  parseEpochKey,
} from "../../../gateway/replication/manifest.ts";
import { DamagedReplica, ReplicaReader } from "../../../gateway/replication/reader.ts";
import { restoreManifest } from "../../../gateway/replication/restore.ts";
import { KEEP_NEWEST } from "../../../gateway/replication/retention.ts";
import { TargetUnavailable } from "../../../gateway/replication/target.ts";
import { FULL } from "../../support/share.ts";
import { FLEET, read, replicatorOn, Scratch, SHARD, Writer } from "./fixtures.ts";
import { MemoryTarget } from "./memory-target.ts";

/** How often writer and replicator are killed; a thousand times takes four minutes. */
const KILLS = Number(process.env.REPLICA_KILLS ?? (FULL ? 1_000 : 10));

let scratch: Scratch;
let target: MemoryTarget;
beforeEach(() => {
  scratch = new Scratch();
  target = new MemoryTarget();
});
afterEach(() => scratch.clean());

const DIRECTORY = "000000000001-n1-i1";
const place = (seq: number): Place => ({ directory: DIRECTORY, seq });
const writer = (name: string) => {
  const made = new Writer(scratch.path("state", name));
  scratch.after(() => made.database.isOpen && made.close());
  return made;
};
const restore = (at: Place, into = "restored") =>
  restoreManifest(new ReplicaReader(target, FLEET, SHARD), at, scratch.path(into));
const rows = (name: string, into = "restored") => read(scratch.path(into, name)).rows;
const placesThere = () =>
  [...target.objects.keys()].flatMap((key) => {
    const parsed = parseEpochKey(key);
    return parsed?.kind === "manifest" ? [parsed.place] : [];
  });

it("restores what was replicated: databases, files, rights, links and empty directories", async () => {
  const one = writer("state/openclaw.sqlite");
  one.write(1, "kept");
  const file = (name: string, text: string, mode = 0o600) => {
    const path = scratch.path("state", name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
  };
  file("workspace/MEMORY.md", "remember", 0o644);
  file("workspace/run.sh", "#!/bin/sh", 0o700);
  file("workspace/large.bin", "0123456789".repeat(30_000));
  file("workspace/empty", "");
  file("openclaw.json", "{}");
  file("tmp/gateway-token", "secret");
  file("state/gateway.lock", "1");
  mkdirSync(scratch.path("state", "workspace/.git/refs"), { recursive: true });
  symlinkSync("MEMORY.md", scratch.path("state", "workspace/link"));
  const { replicator } = replicatorOn(scratch, target);
  expect(await replicator.step()).toMatchObject({ outcome: "replicated", wholeCopies: 1 });
  expect(replicator.position()).toEqual({ directory: DIRECTORY, seq: 1, changes: 0, final: false });
  expect(replicator.lagMs()).toBe(0);
  expect((await replicator.step()).outcome).toBe("nothing-new");

  const { manifest } = await restore(place(1));
  expect(manifest).toMatchObject({ release: "r1", parents: [], lost: null });
  expect(rows("state/openclaw.sqlite")).toEqual([1]);
  const path = (name: string) => scratch.path("restored", name);
  expect(readFileSync(path("workspace/MEMORY.md"), "utf8")).toBe("remember");
  expect(readFileSync(path("workspace/large.bin"), "utf8")).toHaveLength(300_000);
  expect(readFileSync(path("workspace/empty"), "utf8")).toBe("");
  expect(lstatSync(path("workspace/run.sh")).mode & 0o777).toBe(0o700);
  expect(lstatSync(path("workspace/MEMORY.md")).mode & 0o777).toBe(0o644);
  expect(readlinkSync(path("workspace/link"))).toBe("MEMORY.md");
  expect(lstatSync(path("workspace/.git/refs")).isDirectory()).toBe(true);
  for (const name of ["tmp", "state/gateway.lock"]) expect(existsSync(path(name))).toBe(false);
  expect([...target.objects.values()].some(({ bytes }) => bytes.includes("secret"))).toBe(false);
});

it("restores no manifest whose files are in each other's way, and says that it is damaged", async () => {
  writer("a.sqlite").write(1);
  const { replicator } = replicatorOn(scratch, target);
  await replicator.step();
  const store = async (bytes: Buffer) => {
    const root = chunkHash(bytes);
    await target.put(chunkKey(root), encodeChunk(bytes), 1);
    return { size: bytes.length, root };
  };
  const file = await store(Buffer.from("x"));
  const files = await store(
    encodeFiles([
      { kind: "link", path: "workspace/v1", to: "v2" },
      { kind: "file", path: "workspace/v1/x.sqlite", mode: 0o600, ...file },
    ]),
  );
  const { manifest } = await restore(place(1));
  const next = encodeManifest({ ...manifest, place: place(2), files });
  await target.put(manifestKey(place(2)), next, 1);
  await expect(restore(place(2))).rejects.toThrow(DamagedReplica);
  expect(existsSync(scratch.path("restored"))).toBe(false);
});

it("sends what changed, not what there is", async () => {
  const one = writer("a.sqlite");
  for (let n = 0; n < 2_000; n++) one.write(n, `${Math.sin(n)}`.repeat(100));
  const { replicator } = replicatorOn(scratch, target);
  const first = await replicator.step();
  one.write(2_000);
  const second = await replicator.step();
  expect(second).toMatchObject({ outcome: "replicated", wholeCopies: 0, wholeMs: 0 });
  expect(first.changedBytes).toBeGreaterThan(3_000_000);
  expect(second.changedBytes).toBeLessThan(300_000);
  expect(second.bytes).toBeLessThan(first.bytes / 10);
});

it("sends a site that had it earlier what it misses, also when the state came from another one", async () => {
  const one = writer("a.sqlite");
  for (let n = 0; n < 2_000; n++) one.write(n, `${Math.sin(n)}`.repeat(100));
  const earlier = replicatorOn(scratch, target).replicator;
  await earlier.step();
  await earlier.close();
  one.write(2_000);
  target.puts = [];
  const { replicator } = replicatorOn(scratch, target, {
    writer: { epoch: 3, node: "n1", incarnation: "i3" },
    // Nothing of this directory is at the target.
    parents: [{ directory: "000000000002-n2-i2", seq: 7 }],
  });
  expect((await replicator.step()).outcome).toBe("replicated");
  expect(target.puts.length).toBeGreaterThan(1);
  expect(target.puts.length).toBeLessThan(10);
});

it("sees a changed, a new and a removed file", async () => {
  writer("a.sqlite").write(1);
  const path = (name: string) => scratch.path("state", name);
  writeFileSync(path("one"), "1");
  writeFileSync(path("two"), "2");
  const { replicator, time } = replicatorOn(scratch, target);
  await replicator.step();
  writeFileSync(path("one"), "changed");
  writeFileSync(path("three"), "3");
  rmSync(path("two"));
  time.now += 60_000;
  expect((await replicator.step()).outcome).toBe("replicated");
  await restore(place(2));
  expect(readFileSync(scratch.path("restored", "one"), "utf8")).toBe("changed");
  expect(existsSync(scratch.path("restored", "two"))).toBe(false);
  expect(existsSync(scratch.path("restored", "three"))).toBe(true);
});

it("is behind as soon as a large file is on its way, before the look at all of them has ended", async () => {
  const { replicator, time } = replicatorOn(scratch, target, { mostWaitingBytes: 0 });
  writer("a.sqlite").write(1);
  await replicator.step();
  expect(replicator.lagMs()).toBe(0);
  writeFileSync(scratch.path("state", "large.bin"), "0123456789".repeat(30_000));
  time.now += 60_000;
  const lags: number[] = [];
  target.fate = () => {
    time.now += 1_000;
    lags.push(replicator.lagMs());
    return "done";
  };
  expect((await replicator.step()).outcome).toBe("replicated");
  expect(lags[0]).toBe(1_000);
  expect(replicator.lagMs()).toBe(0);
  // A file that is gone by the time it counts leaves nobody behind for ever.
  time.now += 60_000;
  const passing = scratch.path("state", "passing.bin");
  writeFileSync(passing, "9876543210".repeat(30_000));
  target.fate = () => {
    rmSync(passing, { force: true });
    return "done";
  };
  await replicator.step();
  target.fate = () => "done";
  time.now += 60_000;
  await replicator.step();
  await replicator.step();
  expect(replicator.lagMs()).toBe(0);
});

describe("with a target that fails", () => {
  it("says how far behind it is, and catches up", async () => {
    const one = writer("a.sqlite");
    one.write(1);
    const { replicator, time } = replicatorOn(scratch, target);
    await replicator.step();
    one.write(2);
    target.fate = () => "lost";
    expect(await replicator.step()).toMatchObject({ outcome: "failed", reason: /memory/ });
    time.now += 4_000;
    one.write(3);
    await replicator.step();
    expect(replicator.lagMs()).toBe(4_000);
    expect(replicator.position()).toMatchObject({ seq: 1, changes: 2 });
    target.fate = () => "done";
    expect((await replicator.step()).outcome).toBe("replicated");
    expect(replicator.lagMs()).toBe(0);
    const { seq, changes } = replicator.position();
    expect(changes).toBe(2);
    await restore(place(seq));
    expect(rows("a.sqlite")).toEqual([1, 2, 3]);
  });

  it("never uses a number for two manifests, whatever became of the first", async () => {
    const one = writer("a.sqlite");
    const { replicator } = replicatorOn(scratch, target);
    for (const fate of ["lost", "unheard", "late", "done"] as const) {
      one.write(placesThere().length);
      target.fate = (_call, key) => (key.endsWith(".manifest") ? fate : "done");
      await replicator.step();
    }
    expect(replicator.position().seq).toBe(4);
    target.deliver();
    expect(
      placesThere()
        .map(({ seq }) => seq)
        .sort(),
    ).toEqual([2, 3, 4]);
    for (const at of placesThere()) await restore(at);
  });

  it("ends when a later owner has shown its epoch, or has sealed what it writes", async () => {
    for (const refuses of [true, false]) {
      const other = new MemoryTarget(refuses);
      const one = writer(`${refuses}.sqlite`);
      const { replicator } = replicatorOn(scratch, other, {
        staging: scratch.path(`s-${refuses}`),
      });
      await replicator.step();
      await other.put(`epochs/${DIRECTORY}/sealed-000000000002-n2-i2`, Buffer.from("1\n"), 2);
      one.write(1);
      expect((await replicator.step()).outcome).toBe("fenced");
      expect((await replicator.step()).outcome).toBe("fenced");
      expect(replicator.position().seq).toBe(1);
      expect(replicator.fenced).toMatch(/epoch 2/);
      await expect(replicator.finish()).rejects.toThrow(/epoch 2/);
    }
  });
});

it(
  "leaves, wherever it is killed, only manifests that restore to one moment of the past",
  async () => {
    const fate = fc.oneof(
      { weight: 25, arbitrary: fc.constant("done" as const) },
      {
        weight: 1,
        arbitrary: fc.constantFrom("lost" as const, "unheard" as const, "late" as const),
      },
    );
    const fates = fc.array(fate, { minLength: 10, maxLength: 60 });
    let restored = 0;
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fates,
        fc.integer({ min: 12, max: 80 }),
        fc.nat(3),
        async (answers, dies, damage) => {
          run++;
          target = new MemoryTarget(false);
          const names = ["a.sqlite", "b.sqlite"];
          const root = scratch.path(`state-${run}`);
          const writers = names.map((name) => new Writer(`${root}/${name}`));
          const { replicator, time } = replicatorOn(scratch, target, {
            stateDir: root,
            staging: scratch.path(`staging-${run}`),
            // Every other time files are sent while they are looked at.
            mostWaitingBytes: run % 2 === 0 ? 0 : 2 ** 20,
          });
          let calls = 0;
          // After its death nothing of it happens any more.
          target.fate = () => {
            calls++;
            return calls > dies ? "lost" : (answers[calls % answers.length] ?? "done");
          };
          let n = 0;
          let acknowledged = { seq: 0, rows: 0 };
          for (let round = 0; round < 8; round++) {
            const before = n;
            for (let write = 0; write < 3; write++) {
              for (const one of writers) one.write(n, "x".repeat((n * 997) % 9_000));
              n++;
            }
            writeFileSync(`${root}/note`, String(n));
            time.now += 60_000;
            const { outcome } = await replicator.step();
            if (outcome === "replicated") {
              acknowledged = { seq: replicator.position().seq, rows: n };
            }
            expect(before).toBeLessThan(n);
          }
          await replicator.close();
          for (const one of writers) one.close();
          target.fate = () => "done";
          target.deliver();
          const chunks = [...target.objects.keys()].filter((key) => key.startsWith("chunks/"));
          for (let at = 0; at < damage; at++) {
            const key = chunks[(at * 7 + dies) % Math.max(1, chunks.length)];
            if (key) target.objects.set(key, { bytes: Buffer.from([1, 2, 3]), storedAtMs: 0 });
          }
          const there = placesThere();
          if (acknowledged.seq > 0) expect(there.map(({ seq }) => seq)).toContain(acknowledged.seq);
          for (const at of there.slice(-3)) {
            try {
              await restore(at, `restored-${run}`);
            } catch (error) {
              expect(error).toBeInstanceOf(DamagedReplica);
              expect(damage).toBeGreaterThan(0);
              expect(existsSync(scratch.path(`restored-${run}`))).toBe(false);
              continue;
            }
            restored++;
            const images = names.map((name) => read(scratch.path(`restored-${run}`, name)));
            expect(images.map(({ whole }) => whole)).toEqual(names.map(() => true));
            const [a = [], b] = images.map((image) => image.rows);
            expect(a).toEqual(Array.from({ length: a.length }, (_, number) => number));
            expect(b).toEqual(a);
            expect(a.length % 3).toBe(0);
            const note = readFileSync(scratch.path(`restored-${run}`, "note"), "utf8");
            expect(note).toBe(String(a.length));
            if (at.seq === acknowledged.seq) expect(a.length).toBe(acknowledged.rows);
          }
          rmSync(root, { recursive: true });
        },
      ),
      { numRuns: KILLS, endOnFailure: true },
    );
    expect(restored).toBeGreaterThan(1);
  },
  18_000 * KILLS,
);

it("ends a planned hand-over with a manifest of exactly what is there", async () => {
  const one = writer("a.sqlite");
  one.write(1);
  const { replicator, messages } = replicatorOn(scratch, target);
  await replicator.step();
  one.write(2);
  one.close();
  const position = await replicator.finish();
  expect(position.final).toBe(true);
  expect(target.objects.get(`epochs/${DIRECTORY}/final`)?.bytes.toString()).toBe(
    `${position.seq}\n`,
  );
  await restore(place(position.seq));
  expect(rows("a.sqlite")).toEqual([1, 2]);
  expect(messages).toEqual([]);
});

it("compares the last manifest only with frames that it took", async () => {
  const one = writer("a.sqlite");
  one.write(1);
  const { replicator, messages } = replicatorOn(scratch, target);
  await replicator.step();
  one.write(2);
  one.close();
  replicator.moved();
  // The new site does not answer the first time: nothing is captured then.
  let asked = 0;
  target.fate = (call) => (call === "list" && asked++ === 0 ? "lost" : "done");
  const position = await replicator.finish();
  await restore(place(position.seq));
  expect(rows("a.sqlite")).toEqual([1, 2]);
  expect(messages).toEqual([]);
});

describe("the last manifest has everything, or is not the last one", () => {
  const file = (name: string, text: string) => {
    mkdirSync(dirname(scratch.path("state", name)), { recursive: true });
    writeFileSync(scratch.path("state", name), text);
  };
  const final = () => target.objects.has(`epochs/${DIRECTORY}/final`);

  it("of an epoch that had not begun, when the target does not answer at first", async () => {
    writer("a.sqlite").write(1);
    file("workspaces/main/MEMORY.md", "remember");
    let asked = 0;
    const { replicator } = replicatorOn(scratch, target, {
      sealLater: async () => {
        if (asked++ === 0) throw new TargetUnavailable("memory: no answer");
        return [];
      },
    });
    const { seq } = await replicator.finish();
    await restore(place(seq));
    expect(rows("a.sqlite")).toEqual([1]);
    expect(readFileSync(scratch.path("restored", "workspaces/main/MEMORY.md"), "utf8")).toBe(
      "remember",
    );
  });

  it("of an epoch that cannot begin", async () => {
    writer("a.sqlite").write(1);
    const { replicator } = replicatorOn(scratch, target, {
      sealLater: () => Promise.reject(new TargetUnavailable("memory: no answer")),
    });
    await expect(replicator.finish()).rejects.toThrow(/last replica of s1 failed: memory/);
    expect(target.objects.size).toBe(0);
  });

  it("when files cannot be read, until they can", async () => {
    writer("a.sqlite").write(1);
    file("one", "1");
    const { replicator } = replicatorOn(scratch, target);
    await replicator.step();
    file("one", "changed");
    // Where its copy belongs is something else.
    mkdirSync(scratch.path("staging", "file-1"));
    await expect(replicator.finish()).rejects.toThrow(/last replica of s1 failed/);
    expect(final()).toBe(false);
    rmSync(scratch.path("staging", "file-1"), { recursive: true });
    const { seq } = await replicator.finish();
    await restore(place(seq));
    expect(readFileSync(scratch.path("restored", "one"), "utf8")).toBe("changed");
  });

  it("at a site that it was just moved to, and that does not answer at first", async () => {
    const one = writer("a.sqlite");
    for (let n = 0; n < 300; n++) one.write(n, `${Math.sin(n)}`.repeat(50));
    file("workspaces/main/MEMORY.md", "remember");
    const { replicator } = replicatorOn(scratch, target);
    await replicator.step();
    one.close();
    // Another site, which has nothing.
    target.objects.clear();
    replicator.moved();
    let asked = 0;
    target.fate = (call) => (call === "list" && asked++ === 0 ? "lost" : "done");
    const { seq } = await replicator.finish();
    await restore(place(seq));
    expect(rows("a.sqlite")).toHaveLength(300);
    expect(existsSync(scratch.path("restored", "workspaces/main/MEMORY.md"))).toBe(true);
  });
});

describe("collecting", () => {
  it("keeps what the points in time need, and drops the rest", async () => {
    const one = writer("a.sqlite");
    const { replicator } = replicatorOn(scratch, target);
    const hour = 3_600_000;
    for (let round = 0; round < 40; round++) {
      target.nowMs = 1_000 * hour + round * 20_000;
      one.write(round, `${Math.random()}`.repeat(2_000));
      await replicator.step();
    }
    const before = target.objects.size;
    target.nowMs += 3 * hour;
    one.write(40);
    await replicator.step();
    await replicator.collect();
    expect(placesThere().length).toBeLessThan(15);
    expect(target.objects.size).toBeLessThan(before);
    for (const at of placesThere().slice(0, 3)) await restore(at);
    const last = replicator.position().seq;
    await restore(place(last));
    expect(rows("a.sqlite")).toHaveLength(41);
    // What was collected is put again when it is needed again.
    one.database.exec("DELETE FROM rows WHERE n > 0; VACUUM");
    await replicator.step();
    await restore(place(replicator.position().seq));
    expect(rows("a.sqlite")).toEqual([0]);
  });

  it("keeps its history when the target's clock was ahead once, also while it is", async () => {
    const minute = 60_000;
    const now = 20_000 * 24 * 60 * minute;
    const one = writer("a.sqlite");
    const { replicator } = replicatorOn(scratch, target, { wallClock: () => new Date(now) });
    const store = async (atMs: number) => {
      target.nowMs = atMs;
      one.write(1);
      await replicator.step();
    };
    for (let ago = 50; ago > 20; ago--) await store(now - ago * minute);
    await store(now + 365 * 24 * 60 * minute);
    await replicator.collect();
    expect(placesThere().length).toBeGreaterThan(KEEP_NEWEST + 1);
    for (let ago = 20; ago >= 0; ago--) await store(now - ago * minute);
    await replicator.collect();
    const kept = placesThere().filter(({ seq }) => seq > 31);
    expect(kept).toHaveLength(21);
  });

  it("sends again what the target has lost", async () => {
    const one = writer("a.sqlite");
    for (let n = 0; n < 300; n++) one.write(n, `${Math.sin(n)}`.repeat(50));
    writeFileSync(scratch.path("state", "file"), "content");
    const { replicator, messages } = replicatorOn(scratch, target);
    await replicator.step();
    for (const key of [...target.objects.keys()]) {
      if (key.startsWith("chunks/")) target.objects.delete(key);
    }
    await expect(restore(place(1))).rejects.toBeInstanceOf(DamagedReplica);
    await replicator.collect();
    expect(messages.join()).toMatch(/has lost \d+ chunks/);
    expect((await replicator.step()).outcome).toBe("replicated");
    await restore(place(2));
    expect(rows("a.sqlite")).toHaveLength(300);
    expect(readFileSync(scratch.path("restored", "file"), "utf8")).toBe("content");
  });

  it("removes no chunk while a manifest cannot be read", async () => {
    const one = writer("a.sqlite");
    const { replicator, messages } = replicatorOn(scratch, target);
    for (let round = 0; round < 12; round++) {
      one.write(round, `${Math.random()}`.repeat(500));
      await replicator.step();
    }
    const chunks = () =>
      [...target.objects.keys()].filter((key) => key.startsWith("chunks/")).length;
    const there = chunks();
    target.nowMs = 50 * 3_600_000;
    one.write(99);
    await replicator.step();
    target.objects.set(manifestKey(place(12)), {
      bytes: Buffer.from("?"),
      storedAtMs: target.nowMs,
    });
    await replicator.collect();
    expect(chunks()).toBeGreaterThanOrEqual(there);
    expect(messages.join()).toMatch(/1 manifests of the replica are damaged/);
  });
});
