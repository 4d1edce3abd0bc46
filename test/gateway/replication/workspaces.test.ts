import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplicaReader } from "../../../gateway/replication/reader.ts";
import type { Replicator } from "../../../gateway/replication/replicator.ts";
import { restoreManifest } from "../../../gateway/replication/restore.ts";
import { asNobody } from "../../support/as-nobody.ts";
import { eventually } from "../../support/eventually.ts";
import { FLEET, read, replicatorOn, Scratch, SHARD, Writer } from "./fixtures.ts";
import { MemoryTarget } from "./memory-target.ts";

let scratch: Scratch;
let target: MemoryTarget;
beforeEach(() => {
  scratch = new Scratch();
  chmodSync(scratch.root, 0o777);
  target = new MemoryTarget();
});
afterEach(() => scratch.clean());

const OWN = "state/openclaw.sqlite";
const state = (name: string) => scratch.path("state", name);
const restored = (name: string) => scratch.path("restored", name);
const text = (name: string) => readFileSync(restored(name), "utf8");
const write = (name: string, content: string, mode = 0o600) => {
  mkdirSync(dirname(state(name)), { recursive: true });
  writeFileSync(state(name), content);
  chmodSync(state(name), mode);
};
const database = (name: string) => {
  const made = new Writer(state(name));
  scratch.after(() => made.database.isOpen && made.close());
  return made;
};
/** The newest manifest, into an empty folder. */
async function restore(replicator: Replicator): Promise<void> {
  const { directory, seq } = replicator.position();
  const reader = new ReplicaReader(target, FLEET, SHARD);
  await restoreManifest(reader, { directory, seq }, scratch.path("restored"));
}

it("keeps the lock files of builds, and no lock of a repository", async () => {
  database(OWN).write(1);
  for (const name of ["Cargo.lock", "app/yarn.lock", "uv.lock", ".git/index.lock"]) {
    write(`workspaces/main/${name}`, name);
  }
  const { replicator, messages } = replicatorOn(scratch, target);
  await replicator.step();
  await restore(replicator);
  for (const name of ["Cargo.lock", "app/yarn.lock", "uv.lock"]) {
    expect(text(`workspaces/main/${name}`)).toBe(name);
  }
  expect(existsSync(restored("workspaces/main/.git/index.lock"))).toBe(false);
  expect(messages).toEqual([]);
});

it("says once of each name that is not UTF-8 that it is left out", async () => {
  database(OWN).write(1);
  write("workspaces/main/note", "kept");
  writeFileSync(Buffer.from(state("workspaces/main/caf\xe9"), "latin1"), "lost");
  const { replicator, time, messages } = replicatorOn(scratch, target);
  await replicator.step();
  time.now += 60_000;
  await replicator.step();
  await restore(replicator);
  expect(text("workspaces/main/note")).toBe("kept");
  expect(messages).toEqual([
    "workspaces/main/caf\uFFFD is left out of the replica: its name is not UTF-8; rename it",
  ]);
});

it("waits for no transaction of an agent's, and has it once it is over", async () => {
  const own = database(OWN);
  own.write(1);
  mkdirSync(state("workspaces/main"), { recursive: true });
  const theirs = new DatabaseSync(state("workspaces/main/theirs.sqlite"));
  const later = new DatabaseSync(state("workspaces/main/later.sqlite"));
  for (const each of [theirs, later]) scratch.after(() => each.close());
  theirs.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
  const { replicator, time, messages } = replicatorOn(scratch, target);
  await replicator.step();
  const begun = "CREATE TABLE IF NOT EXISTS t (a); BEGIN EXCLUSIVE; INSERT INTO t VALUES (2)";
  for (const each of [theirs, later]) each.exec(begun);
  own.write(2);
  time.now += 60_000;
  expect(await replicator.step()).toMatchObject({ outcome: "replicated" });
  await restore(replicator);
  expect(read(restored(OWN)).rows).toEqual([1, 2]);
  const rows = (name: string) => {
    const database = new DatabaseSync(restored(`workspaces/main/${name}`), { readOnly: true });
    const found = database.prepare("SELECT a FROM t").all();
    database.close();
    return found.map(({ a }) => a);
  };
  expect(rows("theirs.sqlite")).toEqual([1]);
  for (const each of [theirs, later]) each.exec("COMMIT");
  await eventually(async () => {
    time.now += 60_000;
    await replicator.step();
    rmSync(scratch.path("restored"), { recursive: true });
    await restore(replicator);
    expect(rows("theirs.sqlite")).toEqual([1, 2]);
    expect(rows("later.sqlite")).toEqual([2]);
  });
  expect(messages).toEqual([]);
});

/** Copies of ordinary files that wait in staging. */
const copies = () => {
  const names = readdirSync(scratch.path("staging")).filter((name) => name.startsWith("file-"));
  return names.map((name) => statSync(scratch.path("staging", name)).size);
};
const sizeOf = (sizes: number[]) => sizes.reduce((sum, size) => sum + size, 0);

it("copies no file that the target has to the end of a look, in a new epoch", async () => {
  database(OWN).write(1);
  for (const name of ["a", "b", "c"]) write(`media/${name}`, name.repeat(70_000));
  const earlier = replicatorOn(scratch, target).replicator;
  await earlier.step();
  const parents = [earlier.position()].map(({ directory, seq }) => ({ directory, seq }));
  await earlier.close();
  write("media/c", "d".repeat(70_000));
  const { replicator } = replicatorOn(scratch, target, {
    writer: { epoch: 2, node: "n2", incarnation: "i2" },
    parents,
  });
  const waited: number[][] = [];
  target.fate = (call) => {
    if (call === "put") waited.push(copies());
    return "done";
  };
  expect((await replicator.step()).outcome).toBe("replicated");
  expect(waited.length).toBeGreaterThan(0);
  for (const sizes of waited) expect(sizes).toEqual([70_000]);
  await restore(replicator);
  expect(text("media/b")).toBe("b".repeat(70_000));
  expect(text("media/c")).toBe("d".repeat(70_000));
  // They come back when what was there is lost.
  for (const key of [...target.objects.keys()]) {
    if (key.startsWith("chunks/")) target.objects.delete(key);
  }
  await replicator.collect();
  expect((await replicator.step()).outcome).toBe("replicated");
  rmSync(scratch.path("restored"), { recursive: true });
  await restore(replicator);
  expect(text("media/b")).toBe("b".repeat(70_000));
});

it("holds few copies of what the target has not, also when it fails in the middle", async () => {
  database(OWN).write(1);
  const names = Array.from({ length: 12 }, (_, at) => `f${at}`);
  const content = (name: string) => `${name} `.repeat(10_000);
  for (const name of names) write(`media/${name}`, content(name));
  const most = 70_000;
  const { replicator } = replicatorOn(scratch, target, { mostWaitingBytes: most });
  const waited: number[] = [];
  let puts = 0;
  target.fate = (call) => {
    if (call !== "put") return "done";
    waited.push(sizeOf(copies()));
    return ++puts % 5 === 4 ? "lost" : "done";
  };
  let last = await replicator.step();
  for (let tries = 0; last.outcome === "failed" && tries < 30; tries++) {
    expect(last.reason).toMatch(/memory/);
    last = await replicator.step();
  }
  expect(last).toMatchObject({ outcome: "replicated" });
  expect(Math.max(...waited)).toBeLessThanOrEqual(most + 40_000);
  expect(copies()).toEqual([]);
  await restore(replicator);
  for (const name of names) expect(text(`media/${name}`)).toBe(content(name));
  // A change after that goes as ever.
  target.fate = () => "done";
  write("media/f3", "changed");
  await replicator.finish();
  rmSync(scratch.path("restored"), { recursive: true });
  await restore(replicator);
  expect(text("media/f3")).toBe("changed");
  expect(text("media/f4")).toBe(content("f4"));
});

it("opens no pipe and no link that took a database's place", async () => {
  const own = database(OWN);
  own.write(1);
  for (const name of ["pipe", "link"]) database(`workspaces/main/${name}.sqlite`).close();
  const { replicator, time } = replicatorOn(scratch, target);
  await replicator.step();
  for (const name of ["pipe", "link"]) rmSync(state(`workspaces/main/${name}.sqlite`));
  execFileSync("mkfifo", [state("workspaces/main/pipe.sqlite")]);
  symlinkSync(state(OWN), state("workspaces/main/link.sqlite"));
  own.write(2);
  // Before the next look at files, which would miss them.
  time.now += 100;
  await replicator.step();
  time.now += 60_000;
  await replicator.step();
  await restore(replicator);
  expect(read(restored(OWN)).rows).toEqual([1, 2]);
  expect(existsSync(restored("workspaces/main/pipe.sqlite"))).toBe(false);
});

describe("as a user who may not read everything", () => {
  it("goes on when a read-only file is touched again and again, and keeps no copy of it", () =>
    asNobody(async () => {
      database(OWN).write(1);
      write("workspaces/main/.git/objects/ab/cd", "object", 0o444);
      const { replicator, time, messages } = replicatorOn(scratch, target);
      expect((await replicator.step()).outcome).toBe("replicated");
      for (let touched = 1; touched <= 3; touched++) {
        utimesSync(state("workspaces/main/.git/objects/ab/cd"), touched, touched);
        time.now += 60_000;
        expect((await replicator.step()).outcome).toBe("nothing-new");
        const copies = readdirSync(scratch.path("staging")).filter((name) =>
          name.startsWith("file-"),
        );
        expect(copies).toEqual([]);
      }
      // Its content changes while the target is away, twice.
      target.fate = () => "lost";
      for (const content of ["other", "another"]) {
        rmSync(state("workspaces/main/.git/objects/ab/cd"));
        write("workspaces/main/.git/objects/ab/cd", content, 0o444);
        time.now += 60_000;
        expect((await replicator.step()).reason).toMatch(/memory/);
      }
      target.fate = () => "done";
      expect((await replicator.step()).outcome).toBe("replicated");
      await restore(replicator);
      expect(text("workspaces/main/.git/objects/ab/cd")).toBe("another");
      expect(lstatSync(restored("workspaces/main/.git/objects/ab/cd")).mode & 0o777).toBe(0o444);
      expect(messages).toEqual([]);
    }));

  it("leaves out what an agent closed, says so once, and replicates the rest", () =>
    asNobody(async () => {
      const own = database(OWN);
      own.write(1);
      write("workspaces/main/open", "kept");
      write("workspaces/main/file", "closed");
      write("workspaces/main/folder/inside", "closed");
      const theirs = database("workspaces/main/folder/theirs.sqlite");
      theirs.write(1);
      const { replicator, time, messages } = replicatorOn(scratch, target);
      await replicator.step();
      for (const name of ["file", "folder"]) chmodSync(state(`workspaces/main/${name}`), 0);
      write("workspaces/main/closed.sqlite", "", 0);
      for (let n = 2; n <= 4; n++) {
        own.write(n);
        time.now += 60_000;
        expect((await replicator.step()).outcome).toBe("replicated");
      }
      await restore(replicator);
      expect(read(restored(OWN)).rows).toEqual([1, 2, 3, 4]);
      expect(text("workspaces/main/open")).toBe("kept");
      for (const name of ["file", "folder/inside", "folder/theirs.sqlite", "closed.sqlite"]) {
        expect(existsSync(restored(`workspaces/main/${name}`))).toBe(false);
      }
      expect(messages.sort()).toEqual(
        ["closed.sqlite", "file", "folder"].map(
          (name) =>
            `workspaces/main/${name} is left out of the replica: it cannot be read (EACCES)`,
        ),
      );
      // Opened again, it is there again.
      for (const name of ["file", "folder"]) chmodSync(state(`workspaces/main/${name}`), 0o700);
      time.now += 60_000;
      await replicator.step();
      await replicator.finish();
      await restore(replicator);
      expect(text("workspaces/main/file")).toBe("closed");
      expect(text("workspaces/main/folder/inside")).toBe("closed");
      expect(read(restored("workspaces/main/folder/theirs.sqlite")).rows).toEqual([1]);
    }));

  it("does not take a fault of its staging folder for one of a file", () =>
    asNobody(async () => {
      database(OWN).write(1);
      const { replicator, time } = replicatorOn(scratch, target);
      await replicator.step();
      write("workspaces/main/new", "kept");
      chmodSync(scratch.path("staging"), 0o500);
      time.now += 60_000;
      expect(await replicator.step()).toMatchObject({ outcome: "failed", reason: /EACCES/ });
      chmodSync(scratch.path("staging"), 0o700);
      expect((await replicator.step()).outcome).toBe("replicated");
      await restore(replicator);
      expect(text("workspaces/main/new")).toBe("kept");
    }));

  it("replicates nothing while a folder is closed that may hold databases of OpenClaw's", () =>
    asNobody(async () => {
      database(OWN).write(1);
      write("agents/main/note", "kept");
      const { replicator } = replicatorOn(scratch, target);
      chmodSync(state("agents/main"), 0);
      expect(await replicator.step()).toMatchObject({ outcome: "failed", reason: /EACCES/ });
      chmodSync(state("agents/main"), 0o700);
      expect((await replicator.step()).outcome).toBe("replicated");
    }));
});

describe("a database of an agent's", () => {
  it("costs nothing while nobody writes to it", async () => {
    database(OWN).write(1);
    const theirs = database("workspaces/main/theirs.sqlite");
    for (let n = 0; n < 100; n++) theirs.write(n, "x".repeat(1_000));
    const { replicator, time } = replicatorOn(scratch, target);
    expect((await replicator.step()).outcome).toBe("replicated");
    time.now += 60_000;
    expect((await replicator.step()).outcome).toBe("nothing-new");
    expect(replicator.position()).toMatchObject({ seq: 1, changes: 0 });
    theirs.write(100);
    expect(await replicator.step()).toMatchObject({ outcome: "replicated", wholeCopies: 1 });
    expect(replicator.position()).toMatchObject({ seq: 2, changes: 1 });
    expect((await replicator.step()).outcome).toBe("nothing-new");
    await restore(replicator);
    expect(read(restored("workspaces/main/theirs.sqlite")).rows).toHaveLength(101);
  });

  it("is not held open: who closes it last puts its log away", async () => {
    database(OWN).write(1);
    const theirs = database("workspaces/main/theirs.sqlite");
    theirs.write(1);
    const { replicator } = replicatorOn(scratch, target);
    await replicator.step();
    theirs.write(2);
    await replicator.step();
    theirs.close();
    expect(readdirSync(state("workspaces/main"))).toEqual(["theirs.sqlite"]);
    // What that wrote is nothing new, but cannot be told from it.
    await replicator.step();
    expect((await replicator.step()).outcome).toBe("nothing-new");
    await restore(replicator);
    expect(read(restored("workspaces/main/theirs.sqlite")).rows).toEqual([1, 2]);
  });

  it("is taken when it comes, and dropped when it goes, though nothing else changes", async () => {
    database(OWN).write(1);
    mkdirSync(state("workspaces/main"), { recursive: true });
    const { replicator, time } = replicatorOn(scratch, target);
    await replicator.step();
    database("workspaces/main/theirs.sqlite").write(7);
    time.now += 60_000;
    await replicator.step();
    await replicator.step();
    await restore(replicator);
    expect(read(restored("workspaces/main/theirs.sqlite")).rows).toEqual([7]);
    for (const suffix of ["", "-wal", "-shm"])
      rmSync(state(`workspaces/main/theirs.sqlite${suffix}`), { force: true });
    expect((await replicator.step()).outcome).toBe("replicated");
    await restore(replicator);
    expect(readdirSync(restored("workspaces/main"))).toEqual([]);
    expect((await replicator.step()).outcome).toBe("nothing-new");
    // It comes again, and is a database as before.
    database("workspaces/main/theirs.sqlite").write(8);
    time.now += 60_000;
    await replicator.step();
    await replicator.step();
    await restore(replicator);
    expect(readdirSync(restored("workspaces/main"))).toEqual(["theirs.sqlite"]);
    expect(read(restored("workspaces/main/theirs.sqlite")).rows).toEqual([8]);
  });

  it("that is none is in the first manifest, with what lies beside it", async () => {
    database(OWN).write(1);
    write("workspaces/main/pointer.sqlite", "version https://git-lfs.github.com/spec/v1\n");
    write("workspaces/main/pointer.sqlite-wal", "log");
    const { replicator } = replicatorOn(scratch, target);
    await replicator.step();
    await restore(replicator);
    expect(text("workspaces/main/pointer.sqlite")).toMatch(/git-lfs/);
    expect(text("workspaces/main/pointer.sqlite-wal")).toBe("log");
  });

  it("that is none stays where it is when a link takes its folder's place", async () => {
    const own = database(OWN);
    own.write(1);
    write("workspace/v1/x.sqlite", "no database");
    const { replicator, time } = replicatorOn(scratch, target);
    await replicator.step();
    renameSync(state("workspace/v1"), state("workspace/v2"));
    symlinkSync("v2", state("workspace/v1"));
    for (let n = 2; n <= 3; n++) {
      own.write(n);
      time.now += 60_000;
      expect((await replicator.step()).outcome).toBe("replicated");
    }
    await restore(replicator);
    expect(read(restored(OWN)).rows).toEqual([1, 2, 3]);
    expect(readlinkSync(restored("workspace/v1"))).toBe("v2");
    expect(text("workspace/v2/x.sqlite")).toBe("no database");
  });

  /** A database whose writer was killed in the middle: only who may write to it can read it. */
  function interrupted(into: string): void {
    const path = scratch.path("elsewhere");
    const writer = new DatabaseSync(path);
    scratch.after(() => writer.close());
    writer.exec("PRAGMA cache_size = 1; CREATE TABLE rows (id INTEGER PRIMARY KEY, n, text)");
    const insert = writer.prepare("INSERT INTO rows (n, text) VALUES (?, ?)");
    for (let n = 0; n < 50; n++) insert.run(n, "x".repeat(1_000));
    writer.exec("BEGIN; UPDATE rows SET n = -1, text = 'y' || text");
    expect(statSync(`${path}-journal`).size).toBeGreaterThan(512);
    mkdirSync(dirname(into), { recursive: true });
    for (const suffix of ["", "-journal"]) copyFileSync(path + suffix, into + suffix);
  }

  it("whose writer was killed is kept with its journal, and stops nothing", async () => {
    const own = database(OWN);
    own.write(1);
    interrupted(state("workspaces/main/killed.sqlite"));
    const { replicator, messages } = replicatorOn(scratch, target);
    expect((await replicator.step()).outcome).toBe("replicated");
    own.write(2);
    expect((await replicator.step()).outcome).toBe("replicated");
    await replicator.finish();
    await restore(replicator);
    const { rows, whole } = read(restored("workspaces/main/killed.sqlite"));
    expect(whole).toBe(true);
    expect(rows).toEqual(Array.from({ length: 50 }, (_, n) => n));
    expect(messages).toEqual([]);
  });

  it("whose writer is killed while it is replicated stops nothing either", async () => {
    database(OWN).write(1);
    const path = state("workspaces/main/killed.sqlite");
    mkdirSync(dirname(path), { recursive: true });
    const first = new DatabaseSync(path);
    first.exec("CREATE TABLE rows (id INTEGER PRIMARY KEY, n)");
    first.close();
    const { replicator, messages } = replicatorOn(scratch, target);
    await replicator.step();
    interrupted(path);
    expect((await replicator.step()).outcome).toBe("replicated");
    await restore(replicator);
    expect(read(restored("workspaces/main/killed.sqlite"))).toMatchObject({ whole: true });
    expect(messages).toEqual([]);
  });

  it("that is damaged is restored as it was: its state can be taken over", async () => {
    database(OWN).write(1);
    const theirs = database("workspaces/main/damaged.sqlite");
    for (let n = 0; n < 500; n++) theirs.write(n, "x".repeat(200));
    theirs.close();
    const path = state("workspaces/main/damaged.sqlite");
    const bytes = readFileSync(path);
    bytes.fill(0x7f, 8_192, 16_384);
    writeFileSync(path, bytes);
    const { replicator } = replicatorOn(scratch, target);
    await replicator.step();
    await restore(replicator);
    expect(statSync(restored("workspaces/main/damaged.sqlite")).size).toBe(bytes.length);
  });
});
