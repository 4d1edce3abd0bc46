import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Databases, type DatabasesCaptured } from "../../../gateway/replication/databases.ts";
import { eventually } from "../../support/eventually.ts";
import { FULL } from "../../support/share.ts";
import { read, Scratch, Writer } from "./fixtures.ts";

/** How often a writer is killed in the middle; a thousand times takes a quarter of an hour. */
const WRITER_KILLS = Number(process.env.REPLICA_WRITER_KILLS ?? (FULL ? 1_000 : 5));
/** After so many kills another database begins: each moment is compared with all that was written. */
const ON_ONE_DATABASE = 10;

let scratch: Scratch;
let databases: Databases;
const begin = () => {
  scratch = new Scratch();
  mkdirSync(scratch.path("state"));
  databases = new Databases(scratch.path("state"), scratch.path("staging"));
  scratch.after(() => databases.close());
};
beforeEach(begin);
afterEach(() => scratch.clean());

const writer = (name: string) => {
  const made = new Writer(scratch.path("state", name));
  scratch.after(() => made.database.isOpen && made.close());
  return made;
};
let copies = 0;
/** What an image holds, read from a copy: SQLite would write beside it. */
function imageOf(captured: DatabasesCaptured, name: string) {
  const found = captured.databases.find(({ path }) => path === name);
  if (!found) throw new Error(`no image of ${name}`);
  const copy = scratch.path(`copy-${++copies}`);
  copyFileSync(found.image.path, copy);
  return read(copy);
}

it("copies a database once, then reads what changed from its log", async () => {
  const one = writer("a.sqlite");
  for (let n = 1; n <= 500; n++) one.write(n, "x".repeat(2_000));
  expect(await databases.capture([])).toMatchObject({ wholeCopies: 1 });
  one.write(501);
  expect(await databases.look([])).toBe(true);
  const second = await databases.capture([]);
  expect(second).toMatchObject({ wholeCopies: 0, changes: 1 });
  expect(second.readBytes).toBeLessThan(50_000);
  expect(imageOf(second, "a.sqlite")).toEqual({
    whole: true,
    rows: Array.from({ length: 501 }, (_, n) => n + 1),
  });
  expect(await databases.look([])).toBe(false);
  expect(await databases.capture([])).toMatchObject({ readBytes: 0, changedBytes: 0 });
});

it("goes on over a log that began anew, and copies whole when commits were missed", async () => {
  const one = writer("a.sqlite");
  one.write(1);
  await databases.capture([]);
  one.write(2);
  await databases.capture([]);
  one.database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  one.write(3);
  const third = await databases.capture([]);
  expect(third.wholeCopies).toBe(0);
  expect(imageOf(third, "a.sqlite").rows).toEqual([1, 2, 3]);
  // This commit is in the database only: no frame of it is left.
  one.write(4);
  one.database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  one.write(5);
  const fifth = await databases.capture([]);
  expect(fifth.wholeCopies).toBe(1);
  expect(imageOf(fifth, "a.sqlite").rows).toEqual([1, 2, 3, 4, 5]);
});

it("follows a database that gets its log only after it was found", async () => {
  const path = scratch.path("state", "a.sqlite");
  const early = new DatabaseSync(path);
  scratch.after(() => early.isOpen && early.close());
  early.exec("CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER, text TEXT)");
  expect(imageOf(await databases.capture([]), "a.sqlite").rows).toEqual([]);
  early.exec("PRAGMA journal_mode = WAL");
  await databases.capture([]);
  // From here on only the log tells of it, for thousands of pages.
  for (let n = 1; n <= 3; n++) {
    early.prepare("INSERT INTO rows (n) VALUES (?)").run(n);
    expect(await databases.look([])).toBe(true);
    const captured = await databases.capture([]);
    expect(imageOf(captured, "a.sqlite").rows).toEqual(Array.from({ length: n }, (_, i) => i + 1));
    expect(await databases.look([])).toBe(false);
  }
});

it("follows one that was found empty, before its writer had said how it keeps it", async () => {
  writeFileSync(scratch.path("state", "a.sqlite"), "");
  await databases.capture([]);
  const one = writer("a.sqlite");
  one.write(1);
  expect(imageOf(await databases.capture([]), "a.sqlite").rows).toEqual([1]);
  one.write(2);
  expect(imageOf(await databases.capture([]), "a.sqlite").rows).toEqual([1, 2]);
});

it("comes to an end with what is left of somebody's log beside a database that has none", async () => {
  const early = new DatabaseSync(scratch.path("state", "a.sqlite"));
  early.exec(
    "CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO rows (n) VALUES (7)",
  );
  early.close();
  await databases.capture([]);
  writeFileSync(scratch.path("state", "a.sqlite-wal"), "left over".repeat(10));
  expect(imageOf(await databases.capture([]), "a.sqlite").rows).toEqual([7]);
  await databases.look([]);
  expect(imageOf(await databases.capture([]), "a.sqlite").rows).toEqual([7]);
  expect(await databases.look([])).toBe(false);
});

it("keeps an image while its log is emptied and opened anew", async () => {
  const one = writer("a.sqlite");
  one.write(1);
  await databases.capture([]);
  one.database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  one.close();
  const again = writer("a.sqlite");
  const captured = await databases.capture([]);
  expect(imageOf(captured, "a.sqlite")).toEqual({ whole: true, rows: [1] });
  again.write(2);
  expect(imageOf(await databases.capture([]), "a.sqlite").rows).toEqual([1, 2]);
});

it(
  "has all that a writer had said it wrote, when that one is killed in the middle",
  async () => {
    const child = join(import.meta.dirname, "writer-child.ts");
    let last = -1;
    for (let round = 0; round < WRITER_KILLS; round++) {
      if (round > 0 && round % ON_ONE_DATABASE === 0) {
        await scratch.clean();
        begin();
        last = -1;
      }
      const path = scratch.path("state", "a.sqlite");
      const process_ = spawn(process.execPath, [child, path, String(last + 1)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      scratch.after(() => process_.kill("SIGKILL"));
      const ended = new Promise((resolve) => process_.once("close", resolve));
      let said = "";
      process_.stdout.on("data", (bytes) => {
        said += bytes;
      });
      const until = last + ((round * 37) % 200);
      await eventually(async () => {
        // Captures while it writes: each is a prefix.
        const rows = existsSync(path) ? await rowsNow() : [];
        expect(rows).toEqual(rows.map((_, n) => n));
        expect(rows.length).toBeGreaterThan(until);
      });
      process_.kill("SIGKILL");
      await ended;
      last = Number(said.split("\n").at(-2) ?? last);
      const rows = await rowsNow();
      expect(rows).toEqual(rows.map((_, n) => n));
      expect(rows.length).toBeGreaterThan(last);
      last = rows.length - 1;
    }
    async function rowsNow(): Promise<number[]> {
      const captured = await databases.capture([]);
      return captured.databases.length > 0 ? imageOf(captured, "a.sqlite").rows : [];
    }
  },
  24_000 * WRITER_KILLS,
);

it("holds every image at exactly its database, whatever is done to it", async () => {
  const action = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant("write"), size: fc.nat(20_000) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("delete"), size: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("vacuum"), size: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("rollback"), size: fc.nat(900_000) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constantFrom("PASSIVE", "FULL", "RESTART", "TRUNCATE"),
        size: fc.constant(0),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen"), size: fc.constant(0) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("capture"), size: fc.constant(0) }) },
  );
  let frames = 0;
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 30 }), async (actions) => {
      const root = scratch.path(`run-${++run}`);
      const staging = scratch.path(`staging-${run}`);
      const tested = new Databases(root, staging);
      let one = new Writer(`${root}/a.sqlite`);
      let n = 0;
      try {
        for (const { do: what, size } of [...actions, { do: "capture", size: 0 }]) {
          const { database } = one;
          if (what === "write") one.write(++n, "y".repeat(size));
          else if (what === "delete") database.exec(`DELETE FROM rows WHERE id % 6 = ${size}`);
          else if (what === "vacuum") database.exec("VACUUM");
          else if (what === "rollback") {
            // Larger than the cache: its pages reach the log before it is given up.
            database.exec("PRAGMA cache_size = 10; BEGIN");
            for (let at = 0; at < 10; at++) one.write(-1, "z".repeat(size / 10));
            database.exec("ROLLBACK");
          } else if (what === "reopen") {
            one.close();
            one = new Writer(`${root}/a.sqlite`);
          } else if (what !== "capture") database.exec(`PRAGMA wal_checkpoint(${what})`);
          else {
            const captured = await tested.capture([]);
            if (captured.wholeCopies === 0 && captured.readBytes > 0) frames++;
            const rows = database.prepare("SELECT n FROM rows ORDER BY id").all();
            const image = imageOf(captured, "a.sqlite");
            expect(image).toEqual({ whole: true, rows: rows.map((row) => Number(row.n)) });
            // Frames and a whole copy come out alike, to the byte.
            const before = captured.databases[0]?.image.content;
            const whole = await tested.capture([], true);
            expect(whole.databases[0]?.image.content).toEqual(before);
            expect(whole.changedBytes).toBe(0);
          }
        }
      } finally {
        await tested.close();
        one.close();
        rmSync(root, { recursive: true, force: true });
        rmSync(staging, { recursive: true, force: true });
      }
    }),
    { numRuns: Number(process.env.REPLICA_CAPTURES ?? 15), endOnFailure: true },
  );
  expect(frames).toBeGreaterThan(3);
}, 180_000);

it("takes all databases at one moment", async () => {
  const names = ["state/openclaw.sqlite", "agents/a/agent/openclaw-agent.sqlite", "c.sqlite"];
  const writers = names.map(writer);
  let n = 0;
  // Round and round, also between any two steps of a capture: no two differ by more than one write.
  let going = true;
  const write = () => {
    if (!going) return;
    writers[n % 3]?.write(Math.floor(n / 3));
    n++;
    setTimeout(write, 1);
  };
  write();
  try {
    for (let round = 0; round < 25; round++) {
      const captured = await databases.capture([]);
      const counts = names.map((name) => imageOf(captured, name).rows.length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      expect([...counts].sort((a, b) => b - a)).toEqual(counts.map((_, at) => counts[at]));
      expect(captured.changes).toBeLessThanOrEqual(n);
    }
  } finally {
    going = false;
  }
});

it("follows databases that come, go and are replaced", async () => {
  const one = writer("a.sqlite");
  one.write(1);
  await databases.capture([]);
  const two = writer("agents/b/agent/b.sqlite");
  two.write(7);
  const both = await databases.capture([]);
  expect(both.databases.map(({ path }) => path)).toEqual(["a.sqlite", "agents/b/agent/b.sqlite"]);
  two.close();
  rmSync(scratch.path("state", "agents"), { recursive: true });
  // Another database takes the place of the first.
  const other = writer("other");
  for (let n = 20; n < 30; n++) other.write(n);
  other.close();
  one.close();
  for (const suffix of ["-wal", "-shm"])
    rmSync(scratch.path("state", `a.sqlite${suffix}`), { force: true });
  renameSync(scratch.path("state", "other"), scratch.path("state", "a.sqlite"));
  const last = await databases.capture([]);
  expect(last.databases).toHaveLength(1);
  expect(imageOf(last, "a.sqlite").rows).toEqual(Array.from({ length: 10 }, (_, n) => n + 20));
});

it("leaves alone what only looks like a database, and what is locked for somebody else", async () => {
  writer("a.sqlite").write(1);
  writeFileSync(
    scratch.path("state", "notes.sqlite"),
    "not a database, but long enough to be read as one".repeat(20),
  );
  const lock = new DatabaseSync(scratch.path("state", "x.lock.sqlite"));
  scratch.after(() => lock.close());
  lock.exec("CREATE TABLE t (a); BEGIN EXCLUSIVE");
  const captured = await databases.capture([]);
  expect(captured.databases.map(({ path }) => path)).toEqual(["a.sqlite"]);
  expect([...databases.plain]).toEqual(["notes.sqlite"]);
});

it("does not hold a checkpoint up between captures, and leaves the log to its owner", async () => {
  const one = writer("a.sqlite");
  for (let n = 0; n < 50; n++) {
    one.write(n);
    await databases.capture([]);
    const busy = one.database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    expect(busy?.busy).toBe(0);
  }
});
