import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readLineage, writeLineage } from "../../../gateway/replication/lineage.ts";
import {
  forgetKept,
  keepState,
  putBack,
  readKept,
  whyNotKept,
} from "../../../gateway/supervisor/kept-state.ts";
import { asNobody } from "../../support/as-nobody.ts";

let folder: string;
let state: string;
const record = { from: "1.0.0", to: "2.0.0", epoch: 3 };
const mine = () => true;
const lost = () => false;
const note = () => readFileSync(join(state, "note"), "utf8");
const names = () => readdirSync(folder).sort();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fleet-kept-"));
  state = join(folder, "state");
  mkdirSync(state);
  writeFileSync(join(state, "note"), "old");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("what is kept comes back as it was, databases with what was in their logs", async () => {
  const database = new DatabaseSync(join(state, "own.sqlite"));
  database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (7)");
  await keepState(state, record, mine);
  expect(await readKept(state)).toEqual(record);
  database.exec("UPDATE t SET x = 8");
  database.close();
  writeFileSync(join(state, "note"), "new");
  const aside = await putBack(state, 4, mine);
  expect(note()).toBe("old");
  const back = new DatabaseSync(join(state, "own.sqlite"), { readOnly: true });
  expect(back.prepare("SELECT x FROM t").get()).toEqual({ x: 7 });
  back.close();
  expect(readFileSync(join(aside ?? "", "note"), "utf8")).toBe("new");
  expect(names()).toEqual(["failed-update-4", "state"]);
  expect(await readKept(state)).toBeNull();
});

test("it comes back as a state of the owner that puts it back", async () => {
  await keepState(state, record, mine);
  const lineage = {
    directory: "000000000004-a-0011223344556677",
    parents: [],
    lost: null,
    bootId: "boot",
    final: false,
  };
  await writeLineage(state, lineage);
  await putBack(state, 4, mine);
  expect(await readLineage(state)).toEqual(lineage);
});

test("interrupted between two names, it is done again", async () => {
  await keepState(state, record, mine);
  renameSync(state, join(folder, "failed-update-3"));
  // What opens a state makes its directory.
  mkdirSync(state);
  expect(await putBack(state, 4, mine)).toBeNull();
  expect(note()).toBe("old");
  expect(names()).toEqual(["failed-update-3", "state"]);
});

test("a copy that was not finished is none", async () => {
  await keepState(state, record, mine);
  renameSync(join(folder, "before-update"), join(folder, "before-update.partial"));
  expect(await readKept(state)).toBeNull();
  writeFileSync(join(folder, "update.json"), "{");
  expect(await readKept(state)).toBeNull();
  await forgetKept(state);
  expect(names()).toEqual(["state"]);
});

test("whoever lost the shard meanwhile changes nothing that others see", async () => {
  await expect(keepState(state, record, lost)).rejects.toThrow(/given up/);
  expect(await readKept(state)).toBeNull();
  await keepState(state, record, mine);
  await expect(keepState(state, { ...record, epoch: 2 }, lost)).rejects.toThrow(/given up/);
  expect(await readKept(state)).toEqual(record);
  writeFileSync(join(state, "note"), "new");
  await expect(putBack(state, 4, lost)).rejects.toThrow(/given up/);
  expect(note()).toBe("new");
  expect(await readKept(state)).toEqual(record);
});

test("what an earlier failure left goes when the next update is tried", async () => {
  await keepState(state, record, mine);
  await putBack(state, 4, mine);
  await keepState(state, { ...record, epoch: 5 }, mine);
  expect(existsSync(join(folder, "failed-update-4"))).toBe(false);
});

test("what could not be copied to its end takes no room", async () => {
  // One that is none is copied after the files, and its copy cannot be settled.
  writeFileSync(join(state, "own.sqlite"), "no database".repeat(100));
  await expect(keepState(state, record, mine)).rejects.toThrow(/not a database/);
  expect(names()).toEqual(["state"]);
});

test("a copy that does not fit is told of before it is begun", async () => {
  writeFileSync(join(state, "large"), "x".repeat(3 * 2 ** 20));
  const free = (mib: number) => async () => mib * 2 ** 20;
  expect(await whyNotKept(state, free(68))).toBeNull();
  expect(await whyNotKept(state, free(67))).toMatch(/needs 68 MiB, and only 67 MiB are free/);
  // What an earlier failure left makes room.
  mkdirSync(join(folder, "failed-update-2"));
  writeFileSync(join(folder, "failed-update-2", "large"), "x".repeat(2 ** 20));
  expect(await whyNotKept(state, free(67))).toBeNull();
  expect(names()).toEqual(["failed-update-2", "state"]);
});

test("many small files take the blocks that they take", async () => {
  for (let n = 0; n < 256; n++) writeFileSync(join(state, String(n)), "x");
  const mib = async (bytes: number) => bytes * 2 ** 20;
  expect(await whyNotKept(state, () => mib(66))).toMatch(/needs 67 MiB/);
  expect(await whyNotKept(state, () => mib(67))).toBeNull();
});

test("what nobody may read of OpenClaw's own is told of before anybody is drained for it", async () => {
  const own = join(state, "own.sqlite");
  for (const path of [folder, state]) chmodSync(path, 0o755);
  writeFileSync(own, "x", { mode: 0o000 });
  const why = () => asNobody(() => whyNotKept(state, async () => 2 ** 40));
  const told = (path: string) => `its state cannot be copied: EACCES: permission denied, ${path}`;
  expect(await why()).toBe(told(`open '${own}'`));
  rmSync(own);
  expect(await why()).toBeNull();
  const agents = join(state, "agents");
  mkdirSync(agents, { mode: 0o000 });
  expect(await why()).toBe(told(`scandir '${agents}'`));
  chmodSync(agents, 0o755);
});

test("what an agent keeps stops no update, and what is never copied needs no room", async () => {
  const work = join(state, "workspace");
  for (const path of [folder, state]) chmodSync(path, 0o755);
  for (const path of [work, join(work, "locked"), join(state, "tmp")]) mkdirSync(path);
  for (const name of ["private", "own.sqlite"])
    writeFileSync(join(work, name), "x", { mode: 0o000 });
  chmodSync(join(work, "locked"), 0o000);
  writeFileSync(join(state, "tmp", "large"), "x".repeat(3 * 2 ** 20));
  expect(await asNobody(() => whyNotKept(state, async () => 66 * 2 ** 20))).toBeNull();
  chmodSync(join(work, "locked"), 0o755);
});
