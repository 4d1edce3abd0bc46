import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPristine, SqliteLeaseStore } from "../../../gateway/leases/sqlite.ts";
import { StoreUnavailable } from "../../../gateway/leases/store.ts";
import { acquireRequest, heldBy, nodeRecord } from "../../contracts/lease-fixtures.ts";
import { eventually } from "../../contracts/lease-store.ts";
import { type SqliteLeaseWorld, sqliteLeaseWorld } from "./world.ts";

let world: SqliteLeaseWorld;
beforeEach(async () => {
  world = await sqliteLeaseWorld();
});
afterEach(() => world.close());

const run = promisify(execFile);
const HAMMER = fileURLToPath(new URL("./hammer.ts", import.meta.url));

function hammer(node: string, rounds: number): ReturnType<typeof run> {
  return run(process.execPath, [HAMMER, world.path, node, String(rounds)]);
}

interface Hammered {
  epochs: number[];
  kept: number[];
  unavailable: number;
}

describe("several processes on one file", () => {
  it("never give an epoch twice, and epochs only grow", async () => {
    const runs = await Promise.all(["n1", "n2", "n3"].map((node) => hammer(node, 150)));
    const results = runs.map((one) => JSON.parse(String(one.stdout)) as Hammered);
    expect(results.map((one) => one.unavailable)).toEqual([0, 0, 0]);
    const all = results.flatMap((one) => one.epochs).sort((x, y) => x - y);
    expect(all).toEqual(all.map((_, index) => index + 1));
    expect(all.length).toBeGreaterThanOrEqual(150);
    for (const { epochs, kept } of results) {
      expect(epochs).toEqual([...epochs].sort((x, y) => x - y));
      expect(epochs).toEqual(expect.arrayContaining(kept));
    }
    expect((await world.open().read()).leases.s1?.epoch).toBe(all.length);
  });

  it("lose nothing that was taken when one is killed at any moment", async () => {
    const store = world.open();
    let epoch = 0;
    for (let round = 0; round < 4; round++) {
      const child = spawn(process.execPath, [HAMMER, world.path, "n1", "1000000"]);
      try {
        const goal = epoch + 20;
        while (epoch < goal) {
          expect(child.exitCode).toBeNull();
          const view = await eventually(() => store.read());
          const now = view.leases.s1?.epoch ?? 0;
          expect(now).toBeGreaterThanOrEqual(epoch);
          expect(view.pristine).toBe(true);
          epoch = now;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } finally {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    }
    expect((await eventually(() => store.read())).leases.s1?.epoch).toBeGreaterThanOrEqual(epoch);
    const names = readdirSync(world.directory).filter((name) => name.includes("corrupt"));
    expect(names).toEqual([]);
  });

  it("go on while the file is deleted under them again and again", async () => {
    const running = Promise.all(["n1", "n2"].map((node) => hammer(node, 150)));
    let over = false;
    void running.finally(() => {
      over = true;
    });
    while (!over) {
      rmSync(world.path, { force: true });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await running;
    const view = await eventually(() => world.open().read());
    expect(view.pristine).toBe(false);
    await world.open().setPin("s1", "n1");
    expect((await world.open().read()).pins).toEqual({ s1: "n1" });
  });
});

describe("the file", () => {
  it("is readable by its owner alone, with everything beside it", async () => {
    await world.open().setPin("s1", "n1");
    for (const name of readdirSync(world.directory)) {
      expect(statSync(join(world.directory, name)).mode & 0o777).toBe(0o600);
    }
    rmSync(world.path);
    await eventually(() => world.open().read());
    expect(statSync(world.path).mode & 0o777).toBe(0o600);
  });

  it("is not created over an existing one", () => {
    expect(() => createPristine(world.path)).toThrow(/exists: this fleet was created before/);
    expect(readdirSync(world.directory)).toEqual(["leases.sqlite"]);
  });

  it("that is damaged is moved aside, named in the log, and replaced", async () => {
    const store = world.open();
    await store.acquire(acquireRequest("n1", 3, null));
    await store.close();
    writeFileSync(world.path, "this was a database once, and is none any more".repeat(200));
    const next = world.open();
    expect(await next.read()).toMatchObject({ leases: {}, pristine: false });
    const aside = readdirSync(world.directory).find((name) => name.includes(".corrupt-"));
    expect(aside).toBeDefined();
    expect(world.messages.join()).toContain(aside);
    await next.acquire(acquireRequest("n1", 4, null));
    expect((await world.open().read()).leases.s1?.epoch).toBe(4);
  });

  it("may be cut short while it is open", async () => {
    const one = world.open();
    const two = world.open();
    await one.acquire(acquireRequest("n1", 3, null));
    const before = await two.read();
    for (const size of [0, 4096, 5000, 100]) {
      truncateSync(world.path, size);
      const held = [{ ...heldBy(3), until: world.clock.now() + 1 }];
      const result = await eventually(() => one.renew({ node: nodeRecord("n1"), held }));
      expect(result.kept).toEqual(["s1"]);
      const seen = await eventually(() => two.read());
      expect(seen).toMatchObject({ pristine: false, leases: { s1: { epoch: 3 } } });
      expect(seen.storeId).not.toBe(before.storeId);
    }
  });

  it("of another program is moved aside, and one of a newer release is refused", async () => {
    const path = join(world.directory, "other.sqlite");
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE notes (text)");
    other.close();
    const store = new SqliteLeaseStore({ path, log: { warn() {}, error() {} } });
    expect((await store.read()).leases).toEqual({});
    await store.close();
    expect(readdirSync(world.directory).some((n) => n.startsWith("other.sqlite.corrupt"))).toBe(
      true,
    );
    const newer = new DatabaseSync(path);
    newer.exec("PRAGMA user_version = 99");
    newer.close();
    const refused = new SqliteLeaseStore({ path, log: { warn() {}, error() {} } });
    await expect(refused.read()).rejects.toThrow(/newer release \(schema 99/);
    await refused.close();
    expect(existsSync(path)).toBe(true);
  });

  it("behaves the same when the wall clock is stepped", async () => {
    const realNow = Date.now;
    try {
      const store = world.open();
      await store.acquire(acquireRequest("n1", 1, null));
      for (const step of [365 * 86_400_000, -365 * 86_400_000]) {
        Date.now = () => realNow() + step;
        const { kept, view } = await store.renew({ node: nodeRecord("n1"), held: [heldBy(1)] });
        expect(kept).toEqual(["s1"]);
        expect(view.pristine).toBe(true);
      }
    } finally {
      Date.now = realNow;
    }
  });

  it("records the boot of each owner", async () => {
    const store = world.open();
    await store.acquire({ ...acquireRequest("n1", 1, null), bootId: "before the reboot" });
    expect((await store.read()).leases.s1?.bootId).toBe("before the reboot");
    const node = { ...nodeRecord("n1"), bootId: "after" };
    const { view } = await store.renew({ node, held: [heldBy(1)] });
    expect(view.leases.s1?.bootId).toBe("after");
    expect(view.nodes.n1?.bootId).toBe("after");
  });
});

describe("a disk in trouble", () => {
  it("a missing directory is said by name", async () => {
    const path = join(world.directory, "gone", "leases.sqlite");
    const store = new SqliteLeaseStore({ path, log: { warn() {}, error() {} } });
    await expect(store.read()).rejects.toThrow(/gone must exist and be writable/);
    mkdirSync(join(world.directory, "gone"));
    expect((await store.read()).pristine).toBe(false);
    await store.close();
  });

  it("a full disk stops no renewal, and what needs space fails cleanly until there is some", async () => {
    const disk = smallDisk();
    try {
      const path = join(disk.directory, "leases.sqlite");
      createPristine(path);
      const store = new SqliteLeaseStore({ path, log: { warn() {}, error() {} } });
      await store.acquire(acquireRequest("n1", 1, null));
      const renewal = { node: nodeRecord("n1"), held: [heldBy(1, "p")] };
      await store.renew(renewal);
      disk.fill(path);
      for (let n = 0; n < 5; n++) expect((await store.renew(renewal)).kept).toEqual(["s1"]);
      const entry = { at: "", shard: null, node: null, event: "e", detail: "x".repeat(1 << 20) };
      await expect(store.appendHistory([entry])).rejects.toBeInstanceOf(StoreUnavailable);
      expect((await store.renew(renewal)).kept).toEqual(["s1"]);
      disk.free(path);
      await store.appendHistory([{ ...entry, detail: "small" }]);
      expect(await store.history(5)).toHaveLength(1);
      await store.close();
    } finally {
      disk.remove();
    }
  });

  it("a file that may not be written is StoreUnavailable until it may", async () => {
    const disk = smallDisk();
    try {
      const path = join(disk.directory, "leases.sqlite");
      createPristine(path);
      disk.readOnly(path, true);
      const store = new SqliteLeaseStore({ path, log: { warn() {}, error() {} } });
      const renewal = { node: nodeRecord("n1"), held: [heldBy(1)] };
      await expect(store.renew(renewal)).rejects.toBeInstanceOf(StoreUnavailable);
      disk.readOnly(path, false);
      expect((await eventually(() => store.renew(renewal))).kept).toEqual(["s1"]);
      await store.close();
    } finally {
      disk.remove();
    }
  });
});

/**
 * A disk of 1 MiB: a mounted one where that is allowed, otherwise SQLite's own size limit and file
 * modes stand in for it.
 */
function smallDisk() {
  const directory = mkdtempSync(join(tmpdir(), "small-disk-"));
  let mounted = false;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", directory], {
      stdio: "ignore",
    });
    mounted = true;
  } catch {
    // Not root, or no mounts in this container.
  }
  const filler = join(directory, "filler");
  const limit = (path: string, clause: string) => {
    const db = new DatabaseSync(path);
    db.exec(clause);
    db.close();
  };
  return {
    directory,
    fill(path: string) {
      // Without a mount the trigger refuses what grows, as a full disk would.
      if (!mounted) {
        return limit(
          path,
          `CREATE TRIGGER full BEFORE INSERT ON history WHEN length(NEW.entry) > 4096
           BEGIN SELECT zeroblob(2000000000); END`,
        );
      }
      let size = 1 << 20;
      for (let whole = ""; size >= 512; size >>= 1) {
        try {
          writeFileSync(filler, whole + "x".repeat(size), { flush: true });
          whole += "x".repeat(size);
        } catch {
          // Half of it may fit.
        }
      }
    },
    free(path: string) {
      if (mounted) rmSync(filler);
      else limit(path, "DROP TRIGGER full");
    },
    /** Only while nothing in it is open. */
    readOnly(path: string, on: boolean) {
      if (mounted) {
        execFileSync("mount", ["-o", on ? "remount,ro" : "remount,rw", directory]);
        return;
      }
      chmodSync(directory, on ? 0o500 : 0o700);
      chmodSync(path, on ? 0o400 : 0o600);
    },
    remove() {
      if (mounted) execFileSync("umount", ["-l", directory]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
