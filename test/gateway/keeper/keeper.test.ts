import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, type TestContext, test } from "vitest";
import { adoptCage, openCages } from "../../../gateway/keeper/cage.ts";
import { findCgroupBase } from "../../../gateway/keeper/cage-cgroup.ts";
import { fleetKey } from "../../../gateway/keeper/cage-name.ts";
import { KEEPER_LOST_EXIT } from "../../../gateway/keeper/client.ts";
import {
  nodeRunning,
  type StartNodeOptions,
  startNode,
  stopNode,
} from "../../../gateway/keeper/launch.ts";
import { nodeLogFile } from "../../../gateway/keeper/paths.ts";
import { isAlive, thisProcess } from "../../../gateway/keeper/process.ts";
import { eventually } from "../../support/eventually.ts";
import type { Noted, Plan } from "./programs/plan.ts";

const ROOT = join(import.meta.dirname, "../../..");
class TestNode {
  readonly dir = mkdtempSync(join(tmpdir(), "keeper-test-"));
  readonly options: StartNodeOptions;
  #lastLog = "";

  constructor(t: TestContext, cages: "cgroup" | "session", plan: Partial<Plan> = {}) {
    writeFileSync(join(this.dir, "node.json"), JSON.stringify({ id: "n1", dataDir: this.dir }));
    writeFileSync(
      join(this.dir, "plan.json"),
      JSON.stringify({ gateway: {}, holdMs: 2_000, ...plan }),
    );
    this.options = {
      nodeDir: this.dir,
      keeper: join(ROOT, "gateway/keeper/main.ts"),
      supervisor: join(import.meta.dirname, "programs/supervisor.ts"),
      cages,
    };
    t.onTestFinished(() => this.remove(), 60_000);
    t.onTestFailed(() => console.error(this.#lastLog));
  }

  start() {
    return startNode(this.options);
  }

  events(): Noted[] {
    return this.lines("events.jsonl") as unknown as Noted[];
  }

  log(): Record<string, unknown>[] {
    return this.lines("node.log");
  }

  lines(name: string): Record<string, unknown>[] {
    let text = "";
    try {
      text = readFileSync(join(this.dir, name), "utf8");
    } catch {
      return [];
    }
    return text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  /** The keeper's word on what it fenced; it strikes first and writes then. */
  fenced(): Promise<Record<string, unknown>> {
    return eventually(() => {
      const line = this.log().find(({ msg }) => msg === "fenced: the deadline passed");
      if (!line) throw new Error("nothing was fenced");
      return line;
    });
  }

  /** The newest process of the gateway that has reached serving. */
  serving(least: { epoch?: number; starts?: number } = {}) {
    return eventually(() => {
      const seen = this.events();
      const starts = seen.flatMap((one) =>
        one.what === "runner" && one.event.type === "started"
          ? [{ ...one.event, supervisor: one.supervisor }]
          : [],
      );
      const served = seen.flatMap((one) =>
        one.what === "runner" && one.event.type === "serving" ? [one.event.epoch] : [],
      );
      const last = starts.at(-1);
      expect(starts.length).toBeGreaterThanOrEqual(least.starts ?? 1);
      expect(served.length).toBe(starts.length);
      expect(last?.epoch).toBeGreaterThanOrEqual(least.epoch ?? 1);
      return last as NonNullable<typeof last>;
    }, 25_000);
  }

  /** Everything of the node that still lives, in cages of either kind. */
  left(): number[] {
    return (["auto", "session"] as const).flatMap((kind) => {
      const cages = openCages({ fleet: fleetKey(this.dir), node: "n1", kind });
      const pids = cages.leftovers().flatMap((cage) => cage.pids());
      if (pids.length === 0) cages.dispose();
      return pids;
    });
  }

  async remove(): Promise<void> {
    const keeper = nodeRunning(this.dir);
    if (keeper) process.kill(keeper.pid, "SIGCONT");
    await stopNode({ nodeDir: this.dir, force: true });
    const left = this.left();
    this.#lastLog = JSON.stringify(this.log(), null, 1);
    rmSync(this.dir, { recursive: true, force: true });
    expect(left).toEqual([]);
  }
}

const gone = (cage: string) => eventually(() => expect(adoptCage(cage).empty()).toBe(true));

const KINDS = (["cgroup", "session"] as const).filter(
  (kind) => kind === "session" || findCgroupBase() !== null,
);

describe.concurrent.each(KINDS)("keeper with %s cages", (kind) => {
  test("a planned stop ends everything in order", async (t) => {
    const node = new TestNode(t, kind);
    const keeper = await node.start();
    const { cage, pid } = await node.serving();
    expect(adoptCage(cage).pids().length).toBeGreaterThanOrEqual(3);
    expect(adoptCage(cage).pids()).toContain(pid);
    await stopNode({ nodeDir: node.dir });
    expect(isAlive(keeper)).toBe(false);
    expect(node.left()).toEqual([]);
    const last = node
      .events()
      .findLast((one) => one.what === "runner" && one.event.type === "emptied");
    expect(last).toMatchObject({ event: { fenced: false, clean: true } });
    expect(node.log().at(-1)).toMatchObject({ msg: "keeper ended", instanceId: "n1" });
  });

  test("a killed gateway comes again in place, its helpers do not stay", async (t) => {
    const node = new TestNode(t, kind);
    await node.start();
    const { pid, cage } = await node.serving();
    const before = adoptCage(cage).pids();
    process.kill(pid, "SIGKILL");
    const again = await node.serving({ starts: 2 });
    expect(again).toMatchObject({ epoch: 1, cage });
    const now = adoptCage(cage).pids();
    expect(now.filter((one) => before.includes(one))).toEqual([]);
  });

  test("exit 78 is given up, with OpenClaw's words", async (t) => {
    const node = new TestNode(t, kind, { gateway: { mode: "hopeless" } });
    await node.start();
    await eventually(() => {
      const event = node
        .events()
        .find((one) => one.what === "runner" && one.event.type === "gave-up");
      const reason = "exit code 78: the configuration is refused: gateway.bind is wrong";
      expect(event).toMatchObject({ event: { reason } });
    });
    expect(
      node.events().filter((one) => one.what === "runner" && one.event.type === "started"),
    ).toHaveLength(1);
  });

  test("a slow boot is waited for", async (t) => {
    const node = new TestNode(t, kind, { gateway: { bootMs: 3_000 } });
    await node.start();
    await node.serving();
  });

  test("a gateway that ignores SIGTERM is killed when the node is ended at once", async (t) => {
    const node = new TestNode(t, kind, { gateway: { mode: "stubborn" } });
    await node.start();
    await node.serving();
    await stopNode({ nodeDir: node.dir, force: true });
    expect(node.left()).toEqual([]);
  });

  test("a killed keeper takes everything along", async (t) => {
    const node = new TestNode(t, kind);
    const keeper = await node.start();
    await node.serving();
    process.kill(keeper.pid, "SIGKILL");
    await eventually(() => expect(node.left()).toEqual([]));
  });

  test("keeper and supervisor killed in one moment leave nothing either", async (t) => {
    const node = new TestNode(t, kind);
    const keeper = await node.start();
    const { supervisor } = await node.serving();
    process.kill(supervisor, "SIGSTOP");
    process.kill(keeper.pid, "SIGKILL");
    process.kill(supervisor, "SIGKILL");
    await eventually(() => expect(node.left()).toEqual([]));
  });

  test("a killed supervisor: the gateway ends, then a new supervisor starts", async (t) => {
    const node = new TestNode(t, kind);
    await node.start();
    const { pid, supervisor } = await node.serving();
    process.kill(supervisor, "SIGKILL");
    const next = await node.serving({ epoch: 2, starts: 2 });
    expect(next.supervisor).not.toBe(supervisor);
    expect(next.pid).not.toBe(pid);
    const log = node.log().map(({ msg }) => msg);
    expect(log.indexOf("cage empty")).toBeLessThan(log.lastIndexOf("supervisor started"));
  });

  test("a stopped supervisor: the deadline passes, the gateway ends, a new supervisor starts", async (t) => {
    const node = new TestNode(t, kind);
    await node.start();
    const { cage, supervisor } = await node.serving();
    process.kill(supervisor, "SIGSTOP");
    await gone(cage);
    const fenced = await node.fenced();
    expect(fenced).toMatchObject({ shard: "s1", epoch: 1 });
    report(`${kind}: fenced ${fenced.lateMs} ms after its deadline`);
    await node.serving({ epoch: 2, starts: 2 });
  });

  test("a stopped keeper: the supervisor ends the gateway and itself", async (t) => {
    const node = new TestNode(t, kind);
    const keeper = await node.start();
    const { cage } = await node.serving();
    process.kill(keeper.pid, "SIGSTOP");
    // The keeper is the parent of the gateway's process and cannot bury it: only a zombie is left.
    await eventually(() => expect(adoptCage(cage).pids()).toEqual([]));
    process.kill(keeper.pid, "SIGCONT");
    await node.serving({ epoch: 2, starts: 2 });
    const ended = node.log().find(({ msg }) => msg === "supervisor ended");
    expect(ended).toMatchObject({ code: KEEPER_LOST_EXIT });
  });

  test("a node that slept past its deadline ends the gateway as soon as it wakes", async (t) => {
    const node = new TestNode(t, kind);
    const keeper = await node.start();
    const { cage, supervisor } = await node.serving();
    const all = [keeper.pid, supervisor, ...adoptCage(cage).pids()];
    for (const pid of all) process.kill(pid, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 2_500)); // the pause is the subject
    expect(adoptCage(cage).empty()).toBe(false);
    const wokeAt = performance.now();
    for (const pid of all) wake(pid);
    await gone(cage);
    report(`${kind}: empty ${Math.round(performance.now() - wokeAt)} ms after waking`);
    expect(await node.fenced()).toMatchObject({ shard: "s1", epoch: 1 });
  });
});

describe.concurrent("one keeper per node", () => {
  const kind = KINDS[0] as "cgroup" | "session";

  test("starting a running node again changes nothing, also from several places at once", async (t) => {
    const node = new TestNode(t, kind);
    const started = await Promise.all([node.start(), node.start(), node.start()]);
    expect(new Set(started.map(({ pid }) => pid)).size).toBe(1);
    expect((await node.start()).incarnation).toBe(started[0]?.incarnation);
  });

  test("a hung gateway is found and restarted in place", { timeout: 90_000 }, async (t) => {
    const node = new TestNode(t, kind);
    await node.start();
    const { pid } = await node.serving();
    process.kill(pid, "SIGSTOP");
    await eventually(() => {
      const seen = node
        .events()
        .find((one) => one.what === "runner" && one.event.type === "restarted");
      expect(seen).toMatchObject({ event: { reason: "hung" } });
    }, 60_000);
    await node.serving({ starts: 2 });
  });

  test("records of a reused pid are nobody", async (t) => {
    const node = new TestNode(t, kind);
    const reused = { ...thisProcess(), pidStart: "1" };
    writeFileSync(join(node.dir, "keeper.json"), JSON.stringify(reused));
    writeFileSync(join(node.dir, "keeper.lock"), JSON.stringify(reused));
    expect(nodeRunning(node.dir)).toBeNull();
    await stopNode({ nodeDir: node.dir }); // ends this test run if it believes the record
    const keeper = await node.start();
    expect(keeper.pid).not.toBe(process.pid);
  });

  test("a keeper that cannot start says why", async (t) => {
    const node = new TestNode(t, kind);
    writeFileSync(join(node.dir, "node.json"), "{");
    await expect(node.start()).rejects.toThrow(/did not start: it ended with exit code 1.*JSON/s);
    writeFileSync(join(node.dir, "node.json"), JSON.stringify({ id: "n1", dataDir: node.dir }));
  });

  test("the gateway's output is in the log, its secrets are not", async (t) => {
    const node = new TestNode(t, kind);
    await node.start();
    await node.serving();
    await eventually(() => {
      const line = node.log().find(({ stream }) => stream === "stdout");
      expect(line).toMatchObject({ level: "info", instanceId: "n1", shard: "s1", epoch: 1 });
      expect(line?.msg).toBe("listening, token [redacted]");
    });
    expect(readFileSync(nodeLogFile(node.dir), "utf8")).not.toContain("very-secret");
  });
});

function wake(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch {
    // The keeper, awake first, has ended it already.
  }
}

function report(line: string): void {
  process.stderr.write(`measured: ${line}\n`);
}
