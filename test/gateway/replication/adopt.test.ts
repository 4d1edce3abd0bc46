import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { adoptionFault, copyState } from "../../../gateway/replication/adopt.ts";
import { read, Scratch, Writer } from "./fixtures.ts";

const DATABASE = "agents/main/own.sqlite";
/** A user with no rights to anything: root may write anywhere. */
const NOBODY = 65_534;

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
