import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { autoEffect } from "../../cli/commands/move.ts";
import { nextOwners } from "../../cli/lib/next-owner.ts";
import { interruptedWords, waiting } from "../../cli/lib/waiting.ts";
import type { FleetConfig } from "../../gateway/config.ts";
import { rank } from "../../gateway/placement.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

const LEFT = { goesOn: "it goes on", look: "./fleet status" };

describe("what is awaited", () => {
  let told: string[];

  beforeEach(() => {
    told = [];
    vi.useFakeTimers();
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      told.push(String(text).trimEnd());
      return true;
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  test("is told when it changes, and with how long while it does not: no ten seconds are silent", async () => {
    const waited = waiting(LEFT, async (tell) => {
      for (let i = 0; i < 60; i++) {
        tell(i < 40 ? "s1: draining on a" : "s1: starting on b");
        await pause(500);
      }
    });
    await vi.advanceTimersByTimeAsync(30_000);
    await waited;
    expect(told).toEqual([
      "s1: draining on a",
      "s1: draining on a, for 8 s",
      "s1: draining on a, for 16 s",
      "s1: starting on b",
      "s1: starting on b, for 8 s",
    ]);
  });

  test("is told also while one call takes minutes, and no more once it ended", async () => {
    const waited = waiting(LEFT, async (tell) => {
      tell("s1: restoring");
      await pause(130_000);
    });
    await vi.advanceTimersByTimeAsync(600_000);
    await waited;
    expect(told).toHaveLength(17);
    expect(told.at(-1)).toBe("s1: restoring, for 2 min");
    expect(process.listenerCount("SIGINT")).toBe(0);
  });
});

describe("Ctrl-C", () => {
  let home: string;
  let server: Server;
  let child: ChildProcess | null = null;
  const asked: string[] = [];
  /** It takes the call and says nothing to it. */
  let silent = false;

  const shard = (id: string, owner: string, lagMs: number) => ({
    ...{ id, owner, agents: ["main"], epoch: 1, state: "serving", pid: 1, startedAt: null },
    ...{ restarts: 0, sessions: 0, memoryBytes: null, reason: null },
    replica: { lagMs, unreplicated: false },
  });
  const node = (id: string) => ({
    ...{ id, address: "127.0.0.1:1", pid: 1, state: "active", shards: [], version: "1" },
    ...{ memoryBytes: null, seenMsAgo: 1 },
  });
  const point = { at: "2026-01-01T00:00:00.000Z", place: "p", site: null };

  /** A fleet that takes every wish and never gets on with one. */
  function answer(path: string, method: string): object | null {
    if (path === "/api/v1/fleet/restore" && asked.at(-1) === "drill") return null;
    if (method === "POST" && silent) {
      child?.kill("SIGINT");
      return null;
    }
    if (method === "POST") return { ok: true };
    if (path.startsWith("/api/v1/history")) return { entries: [] };
    if (path.startsWith("/api/v1/fleet/backups"))
      return { shards: [{ id: "s1", points: [point] }] };
    const shards = [shard("s1", "a", 3_000), shard("s2", "b", 0)];
    const nodes = ["a", "b", "c"].map(node);
    return { fleet: "f", nodes, shards, store: { kind: "sqlite", ok: true }, heldRequests: 0 };
  }

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "fleet-waiting-"));
    server = createServer(async (request, response) => {
      let body = "";
      for await (const part of request) body += part;
      const { pathname: path } = new URL(request.url ?? "", "http://x");
      if (request.method === "POST") {
        asked.push(body.includes("drill") ? "drill" : `${path} ${body}`);
      }
      const found = answer(path, request.method ?? "GET");
      if (found === null) return;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(found));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    mkdirSync(join(home, "fleet"));
    const tokens = { client: ["c".repeat(24)], admin: "a".repeat(24), peer: "p".repeat(24) };
    const shards = [{ id: "s1" }, { id: "s2" }];
    const config = { fleet: "x", host: "127.0.0.1", port, shards, tokens };
    writeFileSync(join(home, "fleet", "fleet.json"), JSON.stringify(config));
  });
  afterEach(() => {
    child?.kill("SIGKILL");
    asked.length = 0;
    silent = false;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(home, { recursive: true, force: true });
  });

  /** Starts a command, interrupts it once it said that, and returns how it ended. */
  async function interrupted(args: string[], said: RegExp) {
    const started = spawn(process.execPath, [join(PROJECT_ROOT, "cli", "main.ts"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...{ PATH: process.env.PATH, HOME: home, TERM: "dumb" },
        OPENCLAW_DATA_DIR: join(home, "fleet"),
        XDG_CACHE_HOME: join(home, "cache"),
        XDG_DATA_HOME: join(home, "data"),
      },
    });
    child = started;
    let stdout = "";
    let stderr = "";
    let sent = false;
    started.stdout.on("data", (part) => {
      stdout += part;
    });
    started.stderr.on("data", (part) => {
      stderr += part;
      if (sent || !said.test(stderr)) return;
      sent = true;
      started.kill("SIGINT");
    });
    const code = await new Promise<number | null>((resolve) =>
      started.once("close", (status) => resolve(status)),
    );
    return { code, stdout, stderr };
  }

  test.each([
    {
      args: ["drain", "a", "--yes", "--stack", "x"],
      said: /^s1: serving on a$/m,
      words: [
        "fleet: interrupted; the fleet goes on emptying a, which takes no shards from now on",
        "  so far: s1: serving on a",
        "  look:   ./fleet status --watch --stack x",
        "  undo:   ./fleet resume a --stack x",
      ],
    },
    {
      args: ["move", "s1", "b", "--yes", "--json"],
      said: /^s1: serving on a$/m,
      words: [
        "fleet: interrupted; the fleet goes on moving s1 to b",
        "  so far: s1: serving on a",
        "  look:   ./fleet status --watch --stack dev",
        "  undo:   ./fleet move s1 a",
      ],
    },
    {
      args: ["restore", "s1", "--to", "b", "--yes"],
      said: /^s1: serving$/m,
      words: [
        "fleet: interrupted; s1 goes on to 2026-01-01 00:00:00 UTC",
        "  so far: s1: serving",
        "  open:   ./fleet move s1 b, once it serves",
        "  look:   ./fleet status --watch --stack dev",
        "  undo:   ./fleet restore s1 --at NOW",
      ],
    },
    {
      args: ["adopt", "/srv/alone", "--shard", "s1", "--yes"],
      said: /^s1: serving$/m,
      words: [
        "fleet: interrupted; s1 goes on taking over a copy of /srv/alone",
        "  so far: s1: serving",
        "  look:   ./fleet status --watch --stack dev",
        "  undo:   none by a command; what s1 had stays in HOME/fleet/shards/s1/aside-*",
      ],
    },
    {
      args: ["backup"],
      said: /^s1 is 3.0 s behind$/m,
      words: [
        "fleet: interrupted; nodes bring their shards into the replicas by themselves, and go on with it",
        "  so far: s1 is 3.0 s behind",
        "  look:   ./fleet status --watch --stack dev",
      ],
    },
    {
      args: ["restore", "--drill", "s1"],
      said: /^s1: restoring/m,
      words: [
        "fleet: interrupted; the node ends what it has begun, and removes it; no shard was touched",
        "  so far: s1: restoring into a scratch directory",
        "  look:   ./fleet logs --stack dev",
      ],
    },
  ])("in $args.0 says what goes on, how to look and how to undo: $args", async (each) => {
    const { code, stdout, stderr } = await interrupted(each.args, each.said);
    expect({ code, stdout, stderr }).toMatchObject({ code: 130, stdout: "" });
    const words = stderr.slice(stderr.indexOf("fleet: interrupted")).replace(home, "HOME");
    const now = /(?<=--at )\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/;
    expect(words.replace(now, "NOW").trimEnd().split("\n")).toEqual(each.words);
  });

  test.each([
    {
      args: ["drain", "a", "--yes", "--stack", "x"],
      words: [
        "fleet: interrupted before the fleet answered: whether it began is not known",
        "  so far: nothing was seen of it yet",
        "  look:   ./fleet status --watch --stack x",
        "  undo:   ./fleet resume a --stack x",
      ],
    },
    {
      args: ["adopt", "/srv/alone", "--shard", "s1", "--yes"],
      words: [
        "fleet: interrupted before the fleet answered: whether it began is not known",
        "  so far: s1: its owner is asked",
        "  look:   ./fleet status --watch --stack dev",
        "  undo:   none by a command; what s1 had stays in HOME/fleet/shards/s1/aside-*",
      ],
    },
  ])("while the fleet is being asked promises nothing: $args", async ({ args, words }) => {
    silent = true;
    const { code, stderr } = await interrupted(args, /\0/);
    expect({ code, stderr }).toMatchObject({ code: 130 });
    const said = stderr.slice(stderr.indexOf("fleet: interrupted")).replace(home, "HOME");
    expect(said.trimEnd().split("\n")).toEqual(words);
  });

  test("drain says beforehand to which node each shard goes", async () => {
    const { stderr } = await interrupted(["drain", "a", "--yes"], /^s1: serving on a$/m);
    const [to] = rank("s1", ["b", "c"]);
    expect(stderr).toContain(`s1: a → probably ${to}, after its running turns`);
    expect(stderr).not.toContain("b or c");
  });

  test("move auto shows the table and where rank brings the shard, and does not wait", async () => {
    const { code, stderr } = await interrupted(["move", "s1", "auto"], /\0/);
    const [to] = rank("s1", ["a", "b", "c"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^SHARD +STATE +OWNER/m);
    expect(stderr).toContain(to === "a" ? "s1: stays on a" : `s1: a → ${to}, by rank`);
    expect(asked).toEqual(['/api/v1/fleet/move {"shard":"s1","to":"auto"}']);
  });
});

test("what only looks has asked for nothing, and goes on whenever it is left", () => {
  expect(interruptedWords(LEFT, "", false)[0]).toBe("fleet: interrupted; it goes on");
  const asks = { ...LEFT, asks: true } as const;
  expect(interruptedWords(asks, "", false)[0]).toContain("whether it began is not known");
  expect(interruptedWords(asks, "", true)[0]).toBe("fleet: interrupted; it goes on");
});

test("the next owner is the first by rank, and not promised where channels are bound to nodes", () => {
  const config = (channelBinding: object) =>
    ({ config: { channelBinding } as unknown as FleetConfig, stack: "dev" }) as const;
  const nodes = ["a", "b", "c"];
  for (const shard of ["s1", "s2", "s3", "s4"]) {
    expect(nextOwners(config({}), shard, nodes)).toEqual(rank(shard, nodes).slice(0, 1));
  }
  expect(nextOwners(config({}), "s1", [])).toEqual([]);
  expect(nextOwners(config({ b: ["telegram"] }), "s1", nodes)).toEqual(nodes);
});

test.each([
  ["a", ["a"], "s1: stays on a, its first by rank"],
  ["a", ["b"], "s1: a → b, by rank; not before that node"],
  ["a", ["a", "b"], "s1: a → b, by rank, or it stays"],
  [null, ["b"], "s1: nobody → b, by rank"],
  ["a", [], "s1: no node is active"],
] as const)("auto from %s, with %j next", (owner, next, words) => {
  expect(autoEffect("s1", owner, next)).toContain(words);
});
