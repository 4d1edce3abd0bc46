import { expect, it } from "vitest";
import { pauseAfter, ReplicationLoop } from "../../../gateway/replication/loop.ts";
import { step as emptyStep, type Step } from "../../../gateway/replication/step.ts";

const step = (outcome: Step["outcome"]): Step => ({
  ...emptyStep(outcome),
  reason: outcome === "fenced" ? "epoch 2" : null,
});

function world(outcomes: (Step["outcome"] | Step)[]) {
  const stepOf = (n: number): Step => {
    const given = outcomes[n] ?? "nothing-new";
    return typeof given === "string" ? step(given) : given;
  };
  const waiting: { ms: number; fn: () => void }[] = [];
  const fenced: string[] = [];
  let lag = 0;
  let steps = 0;
  const loop = new ReplicationLoop({
    replicator: { step: async () => stepOf(steps++), lagMs: () => lag },
    clock: { now: () => 0 },
    timers: {
      after(ms, fn) {
        const timer = { ms, fn };
        waiting.push(timer);
        return () => void waiting.splice(waiting.indexOf(timer), 1);
      },
    },
    onFenced: (reason) => fenced.push(reason),
  });
  return {
    loop,
    fenced,
    setLag: (ms: number) => {
      lag = ms;
    },
    steps: () => steps,
    waiting,
    async tick() {
      waiting.shift()?.fn();
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    },
  };
}

const paused = (outcome: Step["outcome"], tookMs: number, wholeMs = 0, failures = 0): number =>
  pauseAfter({ outcome, tookMs, wholeMs, failures });

it("rests nine times as long as a step took, a quarter of a second at most, and looks ten times a second when there is nothing", () => {
  expect(paused("nothing-new", 1)).toBe(100);
  expect(paused("replicated", 20)).toBe(180);
  expect(paused("replicated", 60_000)).toBe(250);
  expect([1, 2, 3, 9].map((failures) => paused("failed", 5, 0, failures))).toEqual([
    250, 500, 1_000, 2_000,
  ]);
});

it("rests nine times as long as databases are read whole again and again", () => {
  expect(paused("replicated", 2_000, 1_000)).toBe(9_000);
  expect(paused("replicated", 60_000, 30_000)).toBe(60_000);
});

it("goes on at once after the one long step with which an epoch begins", async () => {
  const whole = { ...step("replicated"), wholeMs: 2_000 };
  const { loop, tick, waiting } = world([whole, "replicated", whole, whole]);
  loop.start();
  const pauses: number[] = [];
  for (let n = 0; n < 4; n++) {
    await tick();
    pauses.push(...waiting.map(({ ms }) => ms));
  }
  expect(pauses).toEqual([100, 100, 100, 18_000]);
});

it("is unreplicated after five seconds of failures, until one succeeds", async () => {
  const { loop, tick, setLag, waiting } = world(["failed", "failed", "replicated"]);
  loop.start();
  await tick();
  expect(loop.unreplicated).toBe(false);
  setLag(5_000);
  expect(loop.unreplicated).toBe(true);
  await tick();
  expect(waiting.map(({ ms }) => ms)).toEqual([500]);
  await tick();
  expect(loop.unreplicated).toBe(false);
});

it("ends when it is fenced, and when it is stopped", async () => {
  const first = world(["replicated", "fenced"]);
  first.loop.start();
  await first.tick();
  await first.tick();
  expect(first.fenced).toEqual(["epoch 2"]);
  expect(first.waiting).toEqual([]);
  const second = world([]);
  second.loop.start();
  await second.tick();
  await second.loop.stop();
  expect(second.waiting).toEqual([]);
  second.loop.start();
  expect(second.steps()).toBe(1);
});
