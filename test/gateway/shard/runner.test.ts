import { describe, expect, test } from "vitest";
import { BootSlots } from "../../../gateway/shard/boot-slots.ts";
import { RUNNER } from "../../../gateway/shard/timing.ts";
import { World } from "./world.ts";

describe("start", () => {
  test("launch, start, started, serving", async () => {
    const world = new World();
    world.probe = "starting";
    await world.serving();
    expect(world.state).toBe("starting");
    expect(world.keeper.started).toMatchObject([{ shard: "s1", epoch: 1, deadline: 1_007_000 }]);
    expect(world.runner.report()).toMatchObject({ pid: 101, admissionOpen: false, endpoint: null });
    world.probe = "started";
    await world.time.pass(300);
    expect(world.told).toEqual(["started", "serving"]);
    expect(world.runner.report()).toMatchObject({
      state: "serving",
      epoch: 1,
      incarnation: "i1",
      admissionOpen: true,
      endpoint: { port: 19_000, token: "t" },
      restarts: 0,
    });
  });

  test("boots wait for a slot, and a stop while waiting leaves nothing", async () => {
    const slots = new BootSlots(1);
    const giveBack = slots.take(() => {});
    const waiting = new World({ bootSlots: slots });
    await waiting.serving();
    expect(waiting.keeper.started).toHaveLength(0);
    waiting.runner.stop("no longer wanted");
    expect(waiting.told).toEqual(["emptied"]);
    expect(waiting.last("emptied")).toMatchObject({ epoch: 1, fenced: false, clean: true });
    giveBack();
    await waiting.time.pass(60_000);
    expect(waiting.keeper.started).toHaveLength(0);
    const next = await new World({ bootSlots: slots }).serving();
    expect(next.state).toBe("serving");
  });

  test("a slot is free again once it serves, and once it failed", async () => {
    const bootSlots = new BootSlots(2);
    const first = await new World({ bootSlots }).serving();
    const second = await new World({ bootSlots }).serving();
    expect(second.state).toBe("serving");
    first.keeper.exit(78);
    second.keeper.exit(78);
    expect((await new World({ bootSlots }).serving()).state).toBe("serving");
  });

  test("a lease that ended before the start starts nothing", async () => {
    const world = new World();
    world.holdMs = 0;
    await world.serving();
    expect(world.keeper.started).toEqual([]);
    expect(world.last("emptied")).toMatchObject({ fenced: true });
    expect(world.state).toBe("idle");
  });

  test.each([
    [
      "it exits",
      (world: World) => world.keeper.exit(1, { tail: ["bad luck"] }),
      "exit code 1: bad luck",
    ],
    [
      "it is too slow",
      (world: World) => world.time.pass(RUNNER.startDeadlineMs),
      "it did not serve within 180 s",
    ],
  ])("three starts fail (%s): it is given up", async (_title, fail, reason) => {
    const world = new World();
    world.probe = "starting";
    await world.serving();
    for (let n = 1; n <= 3; n++) {
      expect(world.keeper.started).toHaveLength(n);
      await fail(world);
      await world.time.pass(n === 3 ? 0 : 1_000);
    }
    expect(world.last("gave-up").reason).toBe(`3 starts failed, the last one: ${reason}`);
    expect(world.state).toBe("failed");
    await world.time.pass(600_000);
    expect(world.keeper.started).toHaveLength(3);
  });

  test("a refused start and a launch that cannot be prepared are failed starts", async () => {
    const world = new World();
    world.keeper.refusal = "no such program";
    await world.serving();
    await world.time.pass(500);
    world.keeper.refusal = null;
    world.launchError = "no free port";
    await world.time.pass(10_000);
    expect(world.last("gave-up").reason).toMatch(/^3 starts failed.*no free port/);
  });

  test("exit 78 is given up at once; it can be started again under a new epoch", async () => {
    const world = new World();
    world.probe = "starting";
    await world.serving();
    world.keeper.exit(78, { tail: ["one", "two", "three", "four", "config refused"] });
    expect(world.last("gave-up").reason).toBe("exit code 78: two | three | four | config refused");
    expect(world.runner.report()).toMatchObject({ state: "failed", pid: null });
    world.probe = "started";
    world.runner.start(2, "i1");
    await world.time.pass(0);
    expect(world.state).toBe("serving");
    expect(world.keeper.started.map(({ epoch }) => epoch)).toEqual([1, 2]);
  });

  test("exit 78 for a helper that was late is a failed start, and tried again", async () => {
    const world = new World();
    world.probe = "starting";
    await world.serving();
    world.keeper.exit(78, {
      tail: ["state lease heartbeat did not become ready (timeoutMs=5000)"],
    });
    world.probe = "started";
    await world.time.pass(1_000);
    expect(world.state).toBe("serving");
    expect(world.keeper.started).toHaveLength(2);
  });
});

describe("restart in place", () => {
  test("a crash: routes end at once, it comes again under the same epoch", async () => {
    const world = await new World().serving();
    const { gateway } = world;
    world.keeper.exit(null, { signal: "SIGSEGV" });
    expect(gateway.closed).toBe(true);
    expect(world.runner.report()).toMatchObject({
      state: "starting",
      endpoint: null,
      admissionOpen: false,
    });
    await world.time.pass(0);
    expect(world.runner.report()).toMatchObject({
      state: "serving",
      epoch: 1,
      restarts: 1,
      reason: "crashed: signal SIGSEGV",
    });
    expect(world.told).toEqual(["started", "serving", "restarted", "started", "serving"]);
  });

  test("pauses grow to 30 s, and shrink after ten minutes of service", async () => {
    const world = await new World().serving();
    const pauses: number[] = [];
    for (let n = 0; n < 9; n++) {
      world.keeper.exit(1);
      const from = world.time.clock.now();
      while (!world.keeper.running) await world.time.pass(500);
      pauses.push(world.time.clock.now() - from);
      await world.time.pass(0);
      expect(world.state).toBe("serving");
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    await world.time.pass(600_000);
    world.keeper.exit(1);
    await world.time.pass(0);
    expect(world.keeper.running).not.toBeNull();
  });

  test("hung: no good probe for 20 s, then it is killed and comes again", async () => {
    const world = await new World().serving();
    world.probe = "down";
    await world.time.pass(19_000);
    expect(world.keeper.kills).toEqual([]);
    world.time.after(3_000, () => {
      world.probe = "started";
    });
    await world.time.pass(5_000);
    expect(world.keeper.kills).toEqual(["hung"]);
    expect(world.last("restarted").reason).toBe("hung");
    expect(world.state).toBe("serving");
  });

  test("a gateway that drains itself is not hung", async () => {
    const world = await new World().serving();
    world.probe = "draining";
    await world.time.pass(300_000);
    expect(world.keeper.kills).toEqual([]);
  });

  test("a sleep of this process is no hang", async () => {
    const world = await new World().serving();
    world.time.sleep(60_000);
    world.probe = "down";
    await world.time.pass(5_000);
    world.probe = "started";
    await world.time.pass(60_000);
    expect(world.keeper.kills).toEqual([]);
  });

  test("restart() drains first and counts for no backoff", async () => {
    const world = await new World().serving();
    world.gateway.active = 1;
    world.runner.restart("new plugins");
    await world.time.pass(5_000);
    expect(world.state).toBe("draining");
    world.gateway.active = 0;
    await world.time.pass(1_000);
    expect(world.runner.report()).toMatchObject({
      state: "serving",
      restarts: 1,
      reason: "requested: new plugins",
    });
    expect(world.keeper.kills).toEqual([]);
    expect(world.told).not.toContain("drained");
  });

  test("restart() waits no longer than it is told for turns that never end", async () => {
    const world = await new World().serving();
    world.gateway.active = 1;
    world.runner.restart("its disk was full", 60_000);
    await world.time.pass(55_000);
    expect(world.state).toBe("draining");
    await world.time.pass(30_000);
    expect(world.runner.report()).toMatchObject({ state: "serving", restarts: 1 });
    expect(world.last("turns-cut")).toMatchObject({ epoch: 1, turns: 1 });
    expect(world.told).not.toContain("drained");
  });

  test("restart() while it boots boots again", async () => {
    const world = new World();
    world.probe = "starting";
    await world.serving();
    world.runner.restart("new plugins");
    world.probe = "started";
    await world.time.pass(0);
    expect(world.keeper.started).toHaveLength(2);
    expect(world.state).toBe("serving");
  });
});

describe("drain", () => {
  test("admission stays open until a quiet moment, then drained is told", async () => {
    const world = await new World().serving();
    world.gateway.active = 2;
    world.runner.drain({ why: "moved" });
    await world.time.pass(10_000);
    expect(world.runner.report()).toMatchObject({ state: "draining", admissionOpen: true });
    world.gateway.active = 0;
    await world.time.pass(500);
    expect(world.gateway.isSuspended).toBe(true);
    expect(world.last("drained")).toMatchObject({ epoch: 1 });
    expect(world.runner.report()).toMatchObject({ state: "draining", admissionOpen: false });
    world.runner.stop("moved");
    expect(world.last("emptied")).toMatchObject({ fenced: false, clean: true });
    expect(world.keeper.signals).toEqual(["SIGTERM"]);
  });

  test("admission stays open for the moment that a bot's message takes to become a turn", async () => {
    const world = await new World().serving();
    world.gateway.inbound = 1_000;
    world.runner.drain({ why: "moved" });
    await world.time.pass(2_000);
    expect(world.gateway.suspends).toBe(0);
    world.gateway.inbound = 2_500;
    await world.time.pass(2_500);
    expect(world.gateway.suspends).toBe(0);
    await world.time.pass(1_500);
    expect(world.told.slice(-1)).toEqual(["drained"]);
    expect(world.told).not.toContain("turns-cut");
  });

  test("a bot that never rests holds a drain up until its last chance", async () => {
    const world = await new World().serving();
    world.runner.drain({ why: "stop", giveUpMs: 60_000 });
    for (let at = 0; at < 44_000; at += 500) {
      world.gateway.inbound = at;
      await world.time.pass(500);
    }
    expect(world.gateway.suspends).toBe(0);
    await world.time.pass(2_000);
    expect(world.told).toContain("drained");
  });

  test("not empty 15 s after closing: admission opens and it is tried again", async () => {
    const world = await new World().serving();
    world.runner.drain({ why: "moved" });
    world.gateway.queued = 1; // came in the moment of closing
    await world.time.pass(0);
    world.gateway.queued = 0;
    world.gateway.active = 1;
    world.runner.undrain();
    world.gateway.active = 0;
    world.runner.drain({ why: "moved" });
    const { gateway } = world;
    const suspended = gateway.suspended.bind(gateway);
    gateway.suspended = async () => false;
    await world.time.pass(10_000);
    expect(world.runner.report().admissionOpen).toBe(false);
    await world.time.pass(5_500);
    expect(gateway.isSuspended).toBe(false);
    expect(world.runner.report().admissionOpen).toBe(true);
    gateway.suspended = suspended;
    await world.time.pass(5_000);
    expect(world.told.slice(-1)).toEqual(["drained"]);
    expect(world.told).not.toContain("turns-cut");
  });

  test("past its time the remaining turns are given up and counted", async () => {
    const world = await new World().serving();
    world.gateway.active = 9;
    world.runner.drain({ why: "stop", giveUpMs: 60_000 });
    await world.time.pass(44_000);
    expect(world.runner.report().admissionOpen).toBe(true);
    await world.time.pass(2_000);
    expect(world.runner.report().admissionOpen).toBe(false);
    await world.time.pass(20_000);
    expect(world.last("turns-cut")).toMatchObject({ epoch: 1, turns: 9 });
    expect(world.told.slice(-2)).toEqual(["turns-cut", "drained"]);
  });

  test("a gateway that does not answer is given up in time as well", async () => {
    const world = await new World().serving();
    world.gateway.mute = true;
    world.runner.drain({ why: "stop", giveUpMs: 60_000 });
    await world.time.pass(RUNNER.startDeadlineMs);
    expect(world.told).toContain("drained");
  });

  test.each([
    ["has drained", true],
    ["is about to drain", false],
  ])("undrain opens admission of a gateway that %s, and OpenClaw's own", async (_, empty) => {
    const world = await new World().serving();
    world.gateway.suspended = async () => empty;
    world.runner.drain({ why: "moved" });
    await world.time.pass(1_000);
    expect(world.told.includes("drained")).toBe(empty);
    expect(world.gateway.isSuspended).toBe(true);
    world.runner.undrain();
    await world.time.pass(60_000);
    expect(world.runner.report()).toMatchObject({ state: "serving", admissionOpen: true });
    expect(world.gateway.isSuspended).toBe(false);
  });

  test("a gateway that crashes while it drains is drained", async () => {
    const world = await new World().serving();
    world.gateway.active = 1;
    world.runner.drain({ why: "moved" });
    await world.time.pass(1_000);
    world.keeper.exit(1);
    expect(world.told.slice(-2)).toEqual(["drained", "emptied"]);
    expect(world.state).toBe("idle");
  });

  test("a drain while it boots is done at once; called off, it serves", async () => {
    const world = new World();
    world.probe = "starting";
    await world.serving();
    world.runner.drain({ why: "moved" });
    await world.time.pass(0);
    expect(world.told).toEqual(["started", "drained"]);
    world.probe = "started";
    await world.time.pass(1_000);
    expect(world.runner.report()).toMatchObject({ state: "draining", admissionOpen: false });
    world.runner.undrain();
    expect(world.runner.report()).toMatchObject({ state: "serving", admissionOpen: true });
    expect(world.told).toContain("serving");
  });
});

describe("stop and kill", () => {
  test("SIGTERM, then SIGKILL after the budget", async () => {
    const world = await new World().serving();
    world.keeper.polite = false;
    world.runner.stop("the node stops", 4_000);
    expect(world.runner.report()).toMatchObject({ state: "stopping", endpoint: null });
    await world.time.pass(3_900);
    expect(world.keeper.kills).toEqual([]);
    await world.time.pass(200);
    expect(world.last("emptied")).toMatchObject({ clean: false, fenced: false });
    expect(world.state).toBe("idle");
  });

  test("kill at once, also while it stops", async () => {
    const world = await new World().serving();
    world.keeper.polite = false;
    world.runner.stop("the node stops");
    world.runner.kill("the lease is lost");
    expect(world.keeper.kills).toEqual(["the lease is lost"]);
    expect(world.last("emptied")).toMatchObject({ clean: false });
  });

  test("killed while the keeper starts it, nothing of it is taken for running", async () => {
    const world = new World();
    world.runner.start(1, "i1");
    world.runner.kill("the lease is lost");
    await world.time.pass(120_000);
    expect(world.told.filter((one) => one === "emptied")).toHaveLength(1);
    expect(world.keeper.running).toBeNull();
    expect(world.state).toBe("idle");
  });

  test("fenced by the keeper: nothing is started again", async () => {
    const world = await new World().serving();
    world.keeper.exit(null, { signal: "SIGKILL", fenced: true });
    expect(world.last("emptied")).toMatchObject({ fenced: true });
    await world.time.pass(600_000);
    expect(world.keeper.started).toHaveLength(1);
    expect(world.state).toBe("idle");
  });

  test("stop and kill where nothing runs are answered", async () => {
    const world = new World();
    world.runner.kill("for safety");
    world.runner.stop("for safety");
    await world.time.pass(0);
    expect(world.told).toEqual(["emptied", "emptied"]);
  });
});

describe("memory", () => {
  test("three samples above the limit: its turn is asked for, drained, restarted, given back", async () => {
    const world = await new World({ random: () => 0.5 }).serving();
    for (const mib of [1_100, 900, 1_100, 1_100]) world.keeper.memory(mib);
    await world.time.pass(60_000);
    expect(world.recycleTurns.asked).toBe(0);
    world.keeper.memory(1_200);
    await world.time.pass(14_000);
    expect(world.recycleTurns.asked).toBe(0); // jitter
    await world.time.pass(3_000);
    expect(world.last("restarted")).toMatchObject({
      reason: "memory",
      detail: "1200 MiB used, more than 1000",
    });
    expect(world.state).toBe("serving");
    expect(world.recycleTurns).toEqual({ asked: 1, given: 1, back: 1 });
    expect(world.runner.report().memoryBytes).toBeNull();
  });

  test("no turn to be had: later samples ask again", async () => {
    const world = await new World().serving();
    world.grantRecycle = false;
    for (let n = 0; n < 3; n++) world.keeper.memory(1_100);
    await world.time.pass(100);
    world.grantRecycle = true;
    world.keeper.memory(1_100);
    await world.time.pass(1_000);
    expect(world.last("restarted").reason).toBe("memory");
  });

  test("a stop during a recycle wins and gives the turn back", async () => {
    const world = await new World().serving();
    world.gateway.active = 1;
    for (let n = 0; n < 3; n++) world.keeper.memory(1_100);
    await world.time.pass(1_000);
    expect(world.state).toBe("draining");
    world.runner.drain({ why: "moved" });
    world.gateway.active = 0;
    await world.time.pass(2_000);
    expect(world.told).toContain("drained");
    world.runner.stop("moved");
    expect(world.state).toBe("idle");
    expect(world.recycleTurns).toEqual({ asked: 1, given: 1, back: 1 });
    expect(world.told).not.toContain("restarted");
  });

  test("a raised limit counts from the next sample on", async () => {
    const world = await new World().serving();
    world.runner.configure({ id: "s1", agents: ["main"], recycleMiB: 2_000 });
    for (let n = 0; n < 5; n++) world.keeper.memory(1_500);
    await world.time.pass(1_000);
    expect(world.recycleTurns.asked).toBe(0);
  });
});
