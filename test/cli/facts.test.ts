import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { renderStatus } from "../../cli/lib/status-text.ts";
import { verdict } from "../../cli/lib/verdict.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

let home: string;
let data: string;
let server: Server;
const written: string[] = [];

function statusOf(count: number): FleetStatus {
  const ids = Array.from({ length: count }, (_, i) => `s${i + 1}`);
  return {
    fleet: "openclaw-fleet-dev",
    nodes: ["a", "b"].map((id, i) => ({
      id,
      address: "127.0.0.1:40000",
      pid: 1,
      state: "active",
      shards: ids.filter((_, n) => n % 2 === i),
      version: "2026.9.6+1a2b3c4d",
      memoryBytes: 3e9,
      seenMsAgo: 400,
    })),
    shards: ids.map((id, i) => ({
      id,
      agents: ["main"],
      owner: i % 2 === 0 ? "a" : "b",
      epoch: 12_345,
      state: "serving",
      pid: 123_456,
      startedAt: "2026-01-01T00:00:00Z",
      restarts: 0,
      sessions: 12_345,
      memoryBytes: 1.5e9,
      reason: null,
    })),
    store: { kind: "sqlite", ok: true },
    heldRequests: 0,
  };
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "fleet-facts-"));
  data = join(home, "fleet");
  server = createServer((request, response) => {
    if (request.method !== "GET") written.push(`${request.method} ${request.url}`);
    const url = request.url ?? "";
    const body = url.startsWith("/api/v1/history") ? { entries: [] } : statusOf(2);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  mkdirSync(join(data, "nodes", "a"), { recursive: true });
  const logged = [
    { time: "2026-01-01T00:00:00Z", level: "info", msg: "hello", shard: "s1" },
    { time: "2026-01-01T00:00:01Z", level: "warn", msg: "again", shard: "s1" },
  ];
  const log = logged.map((line) => `${JSON.stringify(line)}\n`).join("");
  writeFileSync(join(data, "nodes", "a", "node.log"), log);
  const tokens = { client: ["c".repeat(24)], admin: "a".repeat(24), peer: "p".repeat(24) };
  const config = {
    fleet: "x",
    host: "127.0.0.1",
    port,
    shards: [{ id: "s1" }, { id: "s2" }],
    tokens,
  };
  writeFileSync(join(data, "fleet.json"), JSON.stringify(config));
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(home, { recursive: true, force: true });
});

const begin = (dataDir: string, args: string[]) =>
  spawn(process.execPath, [join(PROJECT_ROOT, "cli", "main.ts"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: home,
      TERM: "dumb",
      OPENCLAW_DATA_DIR: dataDir,
      XDG_CACHE_HOME: join(home, "cache"),
      XDG_DATA_HOME: join(home, "data"),
    },
  });

/** What the first lines of a command that never ends say. */
async function followed(count: number, ...args: string[]): Promise<unknown[]> {
  const child = begin(data, args);
  const found: unknown[] = [];
  for await (const line of createInterface(child.stdout)) {
    found.push(JSON.parse(line));
    if (found.length === count) break;
  }
  const closed = once(child, "close");
  child.kill();
  await closed;
  return found;
}

function fleet(dataDir: string, ...args: string[]) {
  const child = begin(dataDir, args);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (part) => {
    stdout += part;
  });
  child.stderr.on("data", (part) => {
    stderr += part;
  });
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.once("close", (code) => resolve({ code, stdout, stderr })),
  );
}

/** What lies there besides caches (of compiled code, and Go's own), to see that looking leaves nothing. */
const listing = () =>
  readdirSync(home, { recursive: true })
    .map(String)
    .filter((path) => !/^(cache|\.config)(\/|$)/.test(path))
    .sort();

describe("a command that only looks", () => {
  test.each([["status"], ["history"], ["plan"], ["docs"], ["doctor"], ["logs"]])(
    "%s --json prints one document and nothing else, and changes nothing",
    async (name) => {
      const before = listing();
      const { code, stdout } = await fleet(data, name, "--json");
      // doctor may find this machine wanting: then it says so with 1, in the same form.
      expect(name === "doctor" ? [0, 1] : [0]).toContain(code);
      const document = JSON.parse(stdout);
      expect(Object.entries(document)[0]).toEqual(["version", 1]);
      expect(stdout.endsWith("\n")).toBe(true);
      expect(stdout).not.toContain("\u001b");
      expect(written).toEqual([]);
      expect(listing()).toEqual(before);
    },
  );

  test("logs --json is one document of all lines, also of none; with --follow one object a line", async () => {
    const all = await fleet(data, "logs", "--json");
    const lines = [
      { time: "2026-01-01T00:00:00Z", level: "info", msg: "hello", shard: "s1" },
      { time: "2026-01-01T00:00:01Z", level: "warn", msg: "again", shard: "s1" },
    ];
    expect(JSON.parse(all.stdout)).toEqual({ version: 1, lines });
    const none = await fleet(data, "logs", "s2", "--json");
    expect(none.code).toBe(0);
    expect(JSON.parse(none.stdout)).toEqual({ version: 1, lines: [] });
    expect(await followed(2, "logs", "--json", "--follow")).toEqual(lines);
  });

  test.each([
    [["status", "--json"]],
    [["history", "--json"]],
    [["logs", "--json"]],
    [["docs", "agnets", "--json"]],
    [["plan", "--json", "--stack", "nowhere"]],
    [["chat", "--json", "hello"]],
    [["drain", "a", "--yes", "--json"]],
    [["move", "s1", "a", "--yes", "--json"]],
  ])("in failure %j has nothing on stdout, 1, and the reason on stderr", async (args) => {
    const before = listing();
    const { code, stdout, stderr } = await fleet(join(home, "nothing"), ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^error: \S/);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(listing()).toEqual(before);
  });
});

test.each([
  [["drain", "aa", "--yes"], /aa is not a node of this fleet\. Did you mean a\?[\s\S]*nodes: a, b/],
  [
    ["move", "s11", "a", "--yes"],
    /s11 is not a shard of this fleet\. Did you mean s1\?[\s\S]*shards: s1, s2/,
  ],
  [["move", "s1", "c", "--yes"], /c is not a node of this fleet/],
  [["logs", "zz"], /zz is neither a node nor a shard/],
])(
  "unknown names are refused with the known ones, and nothing is done: %j",
  async (args, message) => {
    const { code, stdout, stderr } = await fleet(data, ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(message);
    expect(written).toEqual([]);
  },
);

test.each([["drain", "a"], ["move", "s1", "b"], ["up"], ["destroy"], ["refresh"]])(
  "without a terminal %s asks nothing and names the flag",
  async (...args) => {
    const { code, stderr } = await fleet(data, ...args);
    expect(code).toBe(2);
    expect(stderr).toContain("--yes");
    expect(written).toEqual([]);
  },
);

test("status watches or prints one document, not both", async () => {
  const { code, stdout, stderr } = await fleet(data, "status", "--watch", "--json");
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain("take one of them");
});

test("what is to be typed next names the stack, where it is not the default one", async () => {
  const { code, stdout } = await fleet(data, "move", "s1", "a", "--yes", "--stack", "other");
  expect(written.splice(0)).toEqual(["POST /api/v1/fleet/move"]);
  expect({ code, stdout: stdout.trim() }).toEqual({
    code: 0,
    stdout: "s1 is on a, and stays there until ./fleet move s1 auto --stack other.",
  });
});

test.each([1, 8, 40])("status of %d shards fits a terminal of 80 by 24", (count) => {
  const status = statusOf(count);
  const access = { stack: "dev", config: null } as unknown as Parameters<
    typeof renderStatus
  >[2]["access"];
  const text = renderStatus(status, verdict(status, "dev"), { access, wide: false });
  const lines = text.split("\n");
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines.length).toBeLessThanOrEqual(24);
});
