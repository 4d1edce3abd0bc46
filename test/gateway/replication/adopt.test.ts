import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { adoptionFault, copyState, usersOf } from "../../../gateway/replication/adopt.ts";
import { asNobody, NOBODY } from "../../support/as-nobody.ts";
import { read, Scratch, Writer } from "./fixtures.ts";

const DATABASE = "agents/main/own.sqlite";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch.clean());

const original = () => scratch.path("alone");
const copy = () => scratch.path("copy");
/** Every file below a folder, with what is in it. */
function tree(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    names
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path, readFileSync(path).toString("base64")]),
  );
}

/** The state of an OpenClaw that ended in order, or was killed with everything still in its log. */
function made(ended: "in order" | "killed"): void {
  const database = join(original(), DATABASE);
  mkdirSync(dirname(database), { recursive: true });
  writeFileSync(join(dirname(database), "note"), "kept");
  if (ended === "in order") {
    const writer = new Writer(database);
    writer.write(1);
    writer.write(2);
    writer.close();
    expect(readdirSync(dirname(database)).sort()).toEqual(["note", "own.sqlite"]);
    return;
  }
  const elsewhere = scratch.path("running");
  const writer = new Writer(join(elsewhere, "own.sqlite"));
  scratch.after(() => writer.close());
  writer.database.exec("PRAGMA wal_autocheckpoint = 0");
  writer.write(1);
  writer.write(2);
  // What is on the disk now is what a kill leaves.
  cpSync(elsewhere, dirname(database), { recursive: true });
}

describe.each(["in order", "killed"] as const)(
  "the state of an OpenClaw that ended %s",
  (ended) => {
    test("is copied whole, and nothing is written beside the original", async () => {
      made(ended);
      const before = tree(original());
      await copyState(original(), copy());
      expect(tree(original())).toEqual(before);
      expect(read(join(copy(), DATABASE))).toEqual({ rows: [1, 2], whole: true });
      expect(readFileSync(join(copy(), "agents/main/note"), "utf8")).toBe("kept");
      expect(readdirSync(join(copy(), "agents/main")).sort()).toEqual(["note", "own.sqlite"]);
    });

    test.skipIf(process.getuid?.() !== 0)(
      "is copied by a user who may write nothing there",
      async () => {
        made(ended);
        execFileSync("chmod", ["-R", "a=rX", original()]);
        chmodSync(scratch.root, 0o777);
        const module = pathToFileURL(
          join(import.meta.dirname, "../../../gateway/replication/adopt.ts"),
        ).href;
        // The module is loaded first: a checkout may be where nobody else can read.
        const script = `import { copyState } from ${JSON.stringify(module)};
        process.setgid(${NOBODY});
        process.setuid(${NOBODY});
        await copyState(${JSON.stringify(original())}, ${JSON.stringify(copy())}, { check: false });`;
        execFileSync(process.execPath, ["--input-type=module", "-e", script]);
        expect(read(join(copy(), DATABASE))).toEqual({ rows: [1, 2], whole: true });
      },
    );
  },
);

test("a damaged database is not adopted, and is named", async () => {
  const writer = new Writer(join(original(), DATABASE));
  for (let n = 0; n < 500; n++) writer.write(n, "x".repeat(200));
  writer.close();
  const path = join(original(), DATABASE);
  const bytes = readFileSync(path);
  bytes.fill(0x7f, 8_192, 16_384);
  writeFileSync(path, bytes);
  await expect(copyState(original(), copy())).rejects.toThrow(/damaged: .*own\.sqlite/);
});

test("what is no state, or cannot be read, is refused before anything is drained", async () => {
  made("in order");
  expect(await adoptionFault(original())).toBeNull();
  expect(await adoptionFault(join(original(), "agents"))).toMatch(/not the state of an OpenClaw/);
  const gone = join(original(), "gone");
  expect(await adoptionFault(gone)).toMatch(/gone cannot be read on the shard's node: ENOENT/);
});

test("a directory is known by a link to it as well: who uses it is found", async () => {
  made("in order");
  const link = scratch.path("link");
  symlinkSync(original(), link);
  const held = openSync(join(original(), DATABASE), "r");
  scratch.after(() => closeSync(held));
  const user = spawn("sleep", ["600"], { stdio: [held, "ignore", "ignore"] });
  scratch.after(() => user.kill("SIGKILL"));
  expect(usersOf(link)).toEqual([user.pid]);
});

test("a part that is a link out of the directory is refused by name; an agent's own links are not", async () => {
  made("in order");
  const elsewhere = scratch.path("elsewhere");
  mkdirSync(join(elsewhere, "deep"), { recursive: true });
  mkdirSync(join(original(), "workspace"));
  symlinkSync("/usr/bin/env", join(original(), "workspace", "tool"));
  symlinkSync("nowhere", join(original(), "agents", "dangling"));
  symlinkSync("main", join(original(), "agents", "alias"));
  expect(await adoptionFault(original())).toBeNull();
  for (const part of ["workspace-x", "agents/other"]) {
    symlinkSync(elsewhere, join(original(), part));
    expect(await adoptionFault(original())).toMatch(`${part} (to ${elsewhere}) is a link out`);
    rmSync(join(original(), part));
  }
});

describe("what an agent keeps in its workspace", () => {
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(original(), name)), { recursive: true });
    writeFileSync(join(original(), name), text);
  };
  const copied = (name: string) => readFileSync(join(copy(), name), "utf8");

  test("is copied with its lock files, and with databases that are none", async () => {
    made("in order");
    write("workspaces/main/Cargo.lock", "pinned");
    write("workspaces/main/.git/index.lock", "");
    write("workspaces/main/pointer.sqlite", "version https://git-lfs.github.com/spec/v1\n");
    const damaged = new Writer(join(original(), "workspaces/main/damaged.sqlite"));
    for (let n = 0; n < 500; n++) damaged.write(n, "x".repeat(200));
    damaged.close();
    const bytes = readFileSync(join(original(), "workspaces/main/damaged.sqlite"));
    bytes.fill(0x7f, 8_192, 16_384);
    writeFileSync(join(original(), "workspaces/main/damaged.sqlite"), bytes);
    expect([...(await copyState(original(), copy()))]).toEqual([]);
    expect(copied("workspaces/main/Cargo.lock")).toBe("pinned");
    expect(copied("workspaces/main/pointer.sqlite")).toMatch(/git-lfs/);
    expect(readFileSync(join(copy(), "workspaces/main/damaged.sqlite")).equals(bytes)).toBe(true);
    expect(existsSync(join(copy(), "workspaces/main/.git/index.lock"))).toBe(false);
  });

  test("and closed is left out of a copy of a state that runs here, and is told; it is not adopted", async () => {
    chmodSync(scratch.root, 0o777);
    await asNobody(async () => {
      made("in order");
      for (const name of ["file", "closed.sqlite", "folder/inside", "open"]) {
        write(`workspaces/main/${name}`, name);
      }
      for (const name of ["file", "closed.sqlite", "folder"]) {
        chmodSync(join(original(), "workspaces/main", name), 0);
      }
      const leftOut = await copyState(original(), copy(), { check: false });
      expect([...leftOut].sort()).toEqual(
        ["closed.sqlite", "file", "folder"].map((name) => [`workspaces/main/${name}`, "EACCES"]),
      );
      expect(copied("workspaces/main/open")).toBe("open");
      expect(read(join(copy(), DATABASE)).rows).toEqual([1, 2]);
      await expect(copyState(original(), copy())).rejects.toThrow(
        /workspaces\/main\/folder cannot be copied: it cannot be read \(EACCES\)/,
      );
      expect(await adoptionFault(original())).toMatch(
        /workspaces\/main\/folder cannot be read on the shard's node: EACCES/,
      );
      // Without one of OpenClaw's own the rest is of no use.
      chmodSync(join(original(), DATABASE), 0);
      await expect(copyState(original(), copy(), { check: false })).rejects.toThrow(/EACCES/);
    });
  });

  test("under a name that is not UTF-8 is not adopted without a word", async () => {
    made("in order");
    write("workspaces/main/open", "open");
    writeFileSync(Buffer.from(join(original(), "workspaces/main/caf\xe9"), "latin1"), "");
    expect(await adoptionFault(original())).toMatch(/caf\uFFFD cannot be copied: its name is not/);
  });
});
