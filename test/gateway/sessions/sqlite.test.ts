import { execFile } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { StoreUnavailable } from "../../../gateway/leases/store.ts";
import { SqliteSessionStore } from "../../../gateway/sessions/sqlite.ts";
import { memoryDisk } from "../../contracts/lease-fixtures.ts";
import { type SessionWorld, sessionStoreContract } from "../../contracts/session-store.ts";

const log = { warn() {}, error() {} };

interface World extends SessionWorld {
  directory: string;
  path: string;
  open(boot?: string): SqliteSessionStore;
  rewind(): void;
}

async function makeWorld(): Promise<World> {
  const directory = mkdtempSync(join(memoryDisk(), "sessions-"));
  const path = join(directory, "sessions.sqlite");
  const saved = join(directory, "saved");
  const stores: SqliteSessionStore[] = [];
  let now = 1_000_000;
  return {
    directory,
    path,
    clock: {
      advance(ms) {
        now += ms;
      },
    },
    rewind() {
      now = 0;
    },
    open(boot = "boot-1") {
      const store = new SqliteSessionStore({ path, log, boot, clock: { now: () => now } });
      stores.push(store);
      return store;
    },
    async lose() {
      rmSync(path);
    },
    async save() {
      const db = new DatabaseSync(path);
      rmSync(saved, { force: true });
      db.exec(`VACUUM INTO '${saved}'`);
      db.close();
    },
    async swapOld() {
      renameSync(saved, path);
    },
    async close() {
      for (const store of stores) await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

sessionStoreContract("SQLite", makeWorld);

async function withWorld(test: (world: World) => Promise<void>): Promise<void> {
  const world = await makeWorld();
  try {
    await test(world);
  } finally {
    await world.close();
  }
}

const ANSWER = { status: 200, headers: {}, body: "x" };

describe("time", () => {
  it("after a reboot claims have lapsed, and answers are kept for their time again", () =>
    withWorld(async (world) => {
      const before = world.open();
      await before.claim("work", "h", "run-1", 1e9);
      await before.claim("done", "h", "run-2", 1e9);
      await before.finish("done", "run-2", ANSWER, 10_000);
      await before.close();
      world.rewind();
      const after = world.open("boot-2");
      expect(await after.claim("work", "h", "x", 1_000)).toEqual({
        outcome: "claimed",
        runId: "run-1",
      });
      world.clock.advance(9_999);
      expect((await after.claim("done", "h", "x", 1_000)).outcome).toBe("done");
      world.clock.advance(1);
      expect((await after.claim("done", "h", "x", 1_000)).outcome).toBe("claimed");
    }));

  it("a stepped wall clock neither ends a claim nor keeps it", () =>
    withWorld(async (world) => {
      const realNow = Date.now;
      try {
        const store = world.open();
        await store.claim("k", "h", "run-1", 1_000);
        for (const step of [1e12, -1e12]) {
          Date.now = () => realNow() + step;
          expect((await store.claim("k", "h", "x", 1_000)).outcome).toBe("running");
        }
        world.clock.advance(1_000);
        expect((await store.claim("k", "h", "x", 1_000)).outcome).toBe("claimed");
      } finally {
        Date.now = realNow;
      }
    }));

  it("answers whose time is over leave the file", () =>
    withWorld(async (world) => {
      const store = world.open();
      for (const key of ["k1", "k2"]) {
        await store.claim(key, "h", key, 1_000);
        await store.finish(key, key, ANSWER, 5_000);
      }
      world.clock.advance(120_000);
      await store.claim("k3", "h", "r", 1_000);
      await store.close();
      const db = new DatabaseSync(world.path);
      expect(db.prepare("SELECT key FROM claims").all()).toEqual([{ key: "k3" }]);
      db.close();
    }));
});

describe("the file", () => {
  it("may be deleted while others have it open, without showing them anything of the old one", () =>
    withWorld(async (world) => {
      const [a, b, c] = [world.open(), world.open(), world.open()];
      for (let n = 0; n < 20; n++) {
        await a.assign("main", "x", `s${n}`);
        expect(await b.lookup("main", "x")).toBe(`s${n}`);
        rmSync(world.path);
        const [first, second] = n % 2 ? [b, c] : [c, a];
        expect(await first.lookup("main", "x")).toBeNull();
        await first.assign("main", "y", `t${n}`);
        expect(await second.lookup("main", "y")).toBe(`t${n}`);
        expect(await second.generation()).toBe(await first.generation());
      }
    }));

  it("may be cut to nothing while others have it open", () =>
    withWorld(async (world) => {
      const [a, b] = [world.open(), world.open()];
      await a.assign("main", "x", "s1");
      expect(await b.lookup("main", "x")).toBe("s1");
      const before = await a.generation();
      truncateSync(world.path, 0);
      const fresh = world.open();
      expect(await fresh.generation()).not.toBe(before);
      await fresh.assign("main", "x", "s2");
      for (const store of [a, b]) expect(await store.lookup("main", "x")).toBe("s2");
    }));

  it("stays closed once the store was closed, and says so", () =>
    withWorld(async (world) => {
      const store = world.open();
      await store.close();
      await expect(store.lookup("main", "x")).rejects.toBeInstanceOf(StoreUnavailable);
    }));

  it("is replaced when it is damaged, and the damaged one is kept", () =>
    withWorld(async (world) => {
      const a = world.open();
      await a.assign("main", "x", "s1");
      const before = await a.generation();
      await a.close();
      writeFileSync(world.path, "no database".repeat(1_000));
      const b = world.open();
      expect(await b.lookup("main", "x")).toBeNull();
      expect(await b.generation()).not.toBe(before);
      expect(readdirSync(world.directory).some((name) => name.includes(".corrupt-"))).toBe(true);
    }));

  it("damaged in its middle is found out by the first who meets it", () =>
    withWorld(async (world) => {
      const a = world.open();
      const many = Array.from({ length: 2_000 }, (_, n) => ({
        agent: "main",
        session: `a session with a long name, number ${n}`,
        shard: "s1",
      }));
      await a.rebuild(many);
      await a.close();
      const file = openSync(world.path, "r+");
      writeSync(file, Buffer.alloc(statSync(world.path).size - 16_384, 0xff), 0, null, 16_384);
      closeSync(file);
      const b = world.open();
      await expect(b.rebuild(many)).rejects.toBeInstanceOf(StoreUnavailable);
      expect(await b.rebuild(many)).toBe(2_000);
      expect(readdirSync(world.directory).some((name) => name.includes(".corrupt-"))).toBe(true);
    }));

  it("and all beside it are readable by their owner alone, a broken guard is made anew", () =>
    withWorld(async (world) => {
      writeFileSync(`${world.path}-guard`, "no database".repeat(1_000), { mode: 0o600 });
      const store = world.open();
      await store.assign("main", "x", "s1");
      for (const name of readdirSync(world.directory)) {
        expect([name, statSync(join(world.directory, name)).mode & 0o777]).toEqual([name, 0o600]);
      }
    }));

  it("says false, not an error, when it cannot be used", () =>
    withWorld(async (world) => {
      const path = join(world.directory, "gone", "sessions.sqlite");
      const store = new SqliteSessionStore({ path, log });
      expect(await store.ok()).toBe(false);
      await store.close();
    }));

  it("is shared by processes that assign and claim at once", () =>
    withWorld(async (world) => {
      const script = fileURLToPath(new URL("./contend.ts", import.meta.url));
      const runs = await Promise.all(
        ["a", "b", "c"].map((who) =>
          promisify(execFile)(process.execPath, [script, world.path, who, "200"]),
        ),
      );
      const results = runs.map(
        (run) => JSON.parse(run.stdout) as { claimed: string[]; shards: string[] },
      );
      const claimed = results.flatMap((one) => one.claimed);
      expect(new Set(claimed).size).toBe(claimed.length);
      expect(claimed).toHaveLength(200);
      expect(results[1]?.shards).toEqual(results[0]?.shards);
      expect(results[2]?.shards).toEqual(results[0]?.shards);
    }));
});
