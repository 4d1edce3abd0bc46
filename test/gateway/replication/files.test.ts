import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { findParts, partOf } from "../../../gateway/replication/files.ts";
import { asNobody } from "../../support/as-nobody.ts";
import { Scratch } from "./fixtures.ts";

describe("what a file is for a replica", () => {
  test.each([
    // OpenClaw's own.
    ["openclaw.json", "file"],
    ["openclaw.json.lock", "skipped"],
    ["agents/main/sessions/cold/a.jsonl", "file"],
    ["agents/main/sessions/sessions.json.lock", "skipped"],
    ["agents/main/agent/openclaw-agent.sqlite", "database"],
    ["agents/main/agent/openclaw-agent.sqlite-wal", "skipped"],
    ["memory/main.sqlite.generation-lock.sqlite", "skipped"],
    ["memory/main.sqlite.memory-reindex-7a", "skipped"],
    ["state/state-lifecycle.1f.lock.sqlite", "skipped"],
    ["state/openclaw-quarantine.sqlite", "skipped"],
    ["tmp/gateway-token", "skipped"],
    ["plugin-skills/a/SKILL.md", "skipped"],
    // An agent's, and people's.
    ["workspaces/main/Cargo.lock", "file"],
    ["workspaces/main/app/yarn.lock", "file"],
    ["workspaces/main/data.lock/rows", "file"],
    ["workspaces/main/x.lock.sqlite", "database"],
    ["workspaces/main/run.pid", "file"],
    ["workspaces/main/tmp/plan.md", "file"],
    ["workspaces/main/node_modules/a/index.js", "file"],
    ["workspaces/main/report.generation-2.md", "file"],
    ["workspaces/main/openclaw-quarantine.sqlite", "database"],
    ["workspace/poetry.lock", "file"],
    ["workspace-second/uv.lock", "file"],
    ["media/inbound/flake.lock", "file"],
    // Nobody's there either.
    ["workspaces/main/.git/index.lock", "skipped"],
    ["workspaces/main/app/.git/modules/b/refs/heads/c.lock", "skipped"],
    ["workspaces/main/.git/config", "file"],
    ["workspaces/main/app.sqlite-wal", "skipped"],
    ["workspaces/main/app.sqlite-journal", "skipped"],
    ["workspaces/main/app.db-wal", "file"],
    ["workspaces/main/memory.sqlite.generation-lock.sqlite", "skipped"],
    // Only below such a folder, and only at the top.
    ["workspaces.lock", "skipped"],
    ["agents/workspaces/Cargo.lock", "skipped"],
  ])("%s: %s", (path, part) => expect(partOf(path)).toBe(part));
});

describe("what cannot be kept", () => {
  let scratch: Scratch;
  beforeEach(() => {
    scratch = new Scratch();
    chmodSync(scratch.root, 0o777);
  });
  afterEach(() => scratch.clean());
  const write = (name: string) => {
    mkdirSync(dirname(scratch.path("state", name)), { recursive: true });
    writeFileSync(scratch.path("state", name), name);
  };
  /** Names of this kind cannot be said in a string. */
  const badly = (name: string) => Buffer.from(scratch.path("state", "workspace", name), "latin1");

  it("is told with its path: a name that is not UTF-8, of a file, a database, a folder", async () => {
    write("workspace/café");
    write("workspace/\uFFFD");
    writeFileSync(badly("caf\xe9"), "");
    writeFileSync(badly("caf\xe9.sqlite"), "");
    mkdirSync(badly("d\xe9p"));
    writeFileSync(badly("d\xe9p/inside"), "");
    const { leftOut, files, databases } = await findParts(scratch.path("state"));
    expect([...leftOut]).toEqual(
      expect.arrayContaining([
        ["workspace/caf\uFFFD", "EILSEQ"],
        ["workspace/caf\uFFFD.sqlite", "EILSEQ"],
        ["workspace/d\uFFFDp", "EILSEQ"],
      ]),
    );
    expect(leftOut.size).toBe(3);
    expect([...files.keys()].sort()).toEqual(["workspace/café", "workspace/\uFFFD"]);
    expect(databases).toEqual([]);
  });

  it("is a folder of an agent's that lets nobody look, as one; one of OpenClaw's own is an error", () =>
    asNobody(async () => {
      write("workspace/closed/a");
      write("workspace/closed/b");
      write("workspace/open/c");
      write("agents/main/note");
      chmodSync(scratch.path("state", "workspace/closed"), 0);
      const { leftOut, files } = await findParts(scratch.path("state"));
      expect([...leftOut]).toEqual([["workspace/closed", "EACCES"]]);
      expect([...files.keys()].sort()).toEqual(["agents/main/note", "workspace/open/c"]);
      chmodSync(scratch.path("state", "agents/main"), 0);
      await expect(findParts(scratch.path("state"))).rejects.toThrow(/EACCES/);
    }));
});
