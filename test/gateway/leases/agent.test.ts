import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bootClock } from "../../../gateway/clock.ts";
import type { Extend } from "../../../gateway/keeper/protocol.ts";
import { LeaseAgent } from "../../../gateway/leases/agent.ts";
import { createPristine, SqliteLeaseStore } from "../../../gateway/leases/sqlite.ts";
import { StoreUnavailable } from "../../../gateway/leases/store.ts";
import { acquireRequest, memoryDisk, nodeRecord } from "../../contracts/lease-fixtures.ts";

let directory: string;
let path: string;
let lines: string;
let agent: LeaseAgent;
let fd: number;

/** Quick, and yet with room for a machine that is busy elsewhere. */
const TIMINGS = { renewEveryMs: 50, viewEveryMs: 30, retryEveryMs: 20, holdMs: 60_000 };
const HOLD_MS = TIMINGS.holdMs;

function newAgent(): LeaseAgent {
  const made = new LeaseAgent({
    store: { kind: "sqlite", path },
    extendFd: fd,
    timings: TIMINGS,
    signOfLifeMs: 20,
  });
  made.on("log", () => {});
  return made;
}

const { beat: _, ...report } = nodeRecord("n1");

beforeEach(() => {
  directory = mkdtempSync(join(memoryDisk(), "agent-"));
  path = join(directory, "leases.sqlite");
  lines = join(directory, "lines");
  createPristine(path);
  fd = openSync(lines, "a");
  agent = newAgent();
});
afterEach(async () => {
  await agent.stop();
  closeSync(fd);
  rmSync(directory, { recursive: true, force: true });
});

const extensions = () =>
  readFileSync(lines, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Extend);

async function renewals(count: number): Promise<{ lost: string[]; kept: string[] }> {
  let last = { lost: [] as string[], kept: [] as string[] };
  for (let n = 0; n < count; n++) [last] = await once(agent, "renewed");
  return last;
}

describe("the lease thread", () => {
  it("renews what was acquired and tells router and keeper the same deadline", async () => {
    agent.start();
    expect(agent.deadline("s1")).toBe(0);
    const taken = await agent.acquire(acquireRequest("n1", 1, null));
    expect(taken?.lease.epoch).toBe(1);
    const first = agent.deadline("s1");
    expect(first).toBe(Math.floor((taken?.sentAt ?? 0) + HOLD_MS));
    agent.setReport(report);
    await renewals(3);
    // The keeper is told first.
    const deadline = agent.deadline("s1");
    const sent = extensions();
    expect(deadline).toBeGreaterThan(first);
    expect(sent.length).toBeGreaterThanOrEqual(3);
    for (const line of sent) expect(line.shards).toEqual({ s1: 1 });
    expect(deadline).toBeLessThanOrEqual(bootClock.now() + HOLD_MS);
    expect(sent.map((line) => Math.floor(line.deadline))).toContain(deadline);
    const view = await agent.read();
    expect(view.nodes.n1).toMatchObject({ address: "127.0.0.1:1" });
    expect(view.nodes.n1?.beat).toBeGreaterThanOrEqual(3);
  });

  it("publishes what a held shard runs, and of an epoch that is over nothing", async () => {
    agent.start();
    agent.setReport(report);
    await agent.acquire(acquireRequest("n1", 3, null));
    agent.setRelease("s1", 2, "r9");
    agent.setRelease("s1", 3, "r2");
    await renewals(2);
    expect((await agent.read()).leases.s1?.release).toBe("r2");
  });

  it("publishes positions, and refuses to hold what it never acquired", async () => {
    agent.start();
    agent.setReport(report);
    await agent.acquire(acquireRequest("n1", 1, null));
    agent.setHeld([{ shard: "s1", epoch: 1, position: "at-9" }]);
    await renewals(2);
    expect((await agent.read()).leases.s1?.position).toBe("at-9");
    expect(agent.held()).toEqual([{ shard: "s1", epoch: 1, position: "at-9" }]);
    expect(() => agent.setHeld([{ shard: "s1", epoch: 2, position: null }])).toThrow(/not held/);
    expect(() => agent.setHeld([{ shard: "s2", epoch: 1, position: null }])).toThrow(/not held/);
    agent.setHeld([]);
    expect(agent.deadline("s1")).toBe(0);
  });

  it("extends nothing after a drop, in the middle of whatever it does", async () => {
    agent.start();
    agent.setReport(report);
    for (let epoch = 1; epoch <= 10; epoch++) {
      const row = (await agent.read()).leases.s1;
      const expected = row ? { epoch: row.epoch, beat: row.beat, owner: row.owner } : null;
      await agent.acquire(acquireRequest("n1", epoch, expected));
      await renewals(1);
      agent.drop("s1");
      expect(agent.deadline("s1")).toBe(0);
      const before = extensions().length;
      await renewals(2);
      expect(extensions()).toHaveLength(before);
    }
  });

  it("ends the deadline of a lease that somebody else has, before it says so", async () => {
    agent.start();
    await agent.acquire(acquireRequest("n1", 1, null));
    const rival = new SqliteLeaseStore({ path, log: console });
    const beat = (await rival.read()).leases.s1?.beat ?? 0;
    await rival.acquire(acquireRequest("n2", 2, { epoch: 1, beat, owner: "n1" }));
    await rival.close();
    agent.setReport(report);
    expect((await renewals(1)).lost).toEqual(["s1"]);
    expect(agent.deadline("s1")).toBe(0);
    expect(extensions()).toEqual([]);
  });

  it("takes nothing in another store than the one last seen", async () => {
    agent.start();
    agent.setReport(report);
    const [view] = await once(agent, "view");
    rmSync(path);
    const other = { ...acquireRequest("n1", 1, null), storeId: view.storeId };
    // The deleted file may cost the first call.
    const taken = await agent.acquire(other).catch((error) => error);
    expect(taken === null || taken instanceof StoreUnavailable).toBe(true);
    expect(await agent.acquire(other)).toBeNull();
    expect(agent.deadline("s1")).toBe(0);
  });

  it("writes itself back into a store that was lost, without a gap", async () => {
    agent.start();
    agent.setReport(report);
    await agent.acquire(acquireRequest("n1", 4, null));
    await renewals(1);
    rmSync(path);
    let kept: string[] = [];
    let pristine = true;
    while (pristine) {
      const [renewed] = await once(agent, "renewed");
      kept = renewed.kept;
      pristine = renewed.view.pristine;
    }
    expect(kept).toEqual(["s1"]);
    expect(agent.deadline("s1")).toBeGreaterThan(bootClock.now());
  });

  it("says when the store is away, answers calls with StoreUnavailable, and comes back", async () => {
    agent.start();
    agent.setReport(report);
    await agent.acquire(acquireRequest("n1", 1, null));
    await renewals(1);
    const blocker = new DatabaseSync(path, { timeout: 10_000 });
    blocker.exec("BEGIN EXCLUSIVE");
    await once(agent, "unavailable");
    const until = agent.deadline("s1");
    await expect(agent.setPin("s1", "n1")).rejects.toBeInstanceOf(StoreUnavailable);
    expect(agent.deadline("s1")).toBe(until);
    blocker.close();
    await renewals(2);
    expect(agent.deadline("s1")).toBeGreaterThan(until);
  });

  it("shows changes of others between renewals", async () => {
    const slow = new LeaseAgent({
      store: { kind: "sqlite", path },
      extendFd: null,
      timings: { viewEveryMs: 20, renewEveryMs: 3_600_000 },
    });
    slow.start();
    try {
      await once(slow, "view");
      await slow.setPin("s1", "n2");
      let pins = {};
      while (!("s1" in pins)) [{ pins }] = await once(slow, "view");
      expect(pins).toEqual({ s1: "n2" });
      await slow.setMaintenance("n2", true);
      await slow.appendHistory([{ at: "", shard: null, node: "n2", event: "drain", detail: "" }]);
      expect(await slow.history(10)).toHaveLength(1);
      await slow.forgetNode("n2");
      expect(await slow.read()).toMatchObject({ pins: {}, maintenance: {} });
    } finally {
      await slow.stop();
    }
  });

  it("extends no deadline when the keeper cannot be told", async () => {
    const unwritable = openSync(path, "r");
    const lonely = new LeaseAgent({
      store: { kind: "sqlite", path },
      extendFd: unwritable,
      timings: TIMINGS,
    });
    lonely.start();
    try {
      const taken = await lonely.acquire(acquireRequest("n1", 1, null));
      lonely.setReport(report);
      await once(lonely, "keeper-lost");
      await once(lonely, "keeper-lost");
      expect(lonely.deadline("s1")).toBe(Math.floor((taken?.sentAt ?? 0) + HOLD_MS));
    } finally {
      await lonely.stop();
      closeSync(unwritable);
    }
  });

  it("gives a lease up on release, and holds nothing afterwards", async () => {
    agent.start();
    agent.setReport(report);
    await agent.acquire(acquireRequest("n1", 1, null));
    const request = {
      shard: "s1",
      node: "n1",
      incarnation: "inc-n1",
      epoch: 1,
      position: null,
      handTo: "n2",
      reason: "move",
    };
    expect(await agent.release(request)).toBe(true);
    expect(agent.deadline("s1")).toBe(0);
    expect((await agent.read()).leases.s1).toMatchObject({ owner: null, handTo: "n2" });
    await agent.stop();
    await expect(agent.read()).rejects.toBeInstanceOf(StoreUnavailable);
  });

  it("lets the leases of a hung main thread run out", async () => {
    const script = fileURLToPath(new URL("./hang.ts", import.meta.url));
    const child = spawn(process.execPath, [script, path], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      // The child says so right before its main thread stops; its lease thread goes on.
      await once(child.stdout, "data");
      const store = new SqliteLeaseStore({ path, log: console });
      const beat = async () => (await store.read()).nodes.n1?.beat;
      let before = await beat();
      for (let same = 0; same < 3; ) {
        await new Promise((resolve) => setTimeout(resolve, 400));
        const now = await beat();
        same = now === before ? same + 1 : 0;
        before = now;
      }
      await store.close();
      expect(child.exitCode).toBeNull();
    } finally {
      child.kill("SIGKILL");
    }
  });
});
