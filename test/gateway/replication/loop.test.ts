import { expect, it } from "vitest";
import { pauseAfter, ReplicationLoop } from "../../../gateway/replication/loop.ts";
import { step as emptyStep, type Step } from "../../../gateway/replication/step.ts";

const step = (outcome: Step["outcome"]): Step => ({
  ...emptyStep(outcome),
  reason: outcome === "fenced" ? "epoch 2" : null,
});

function world(outcomes: Step["outcome"][]) {
  const waiting: { ms: number; fn: () => void }[] = [];
  const fenced: string[] = [];
  let lag = 0;
  let steps = 0;
  const loop = new ReplicationLoop({
    replicator: { step: async () => step(outcomes[steps++] ?? "nothing-new"), lagMs: () => lag },
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

it("rests nine times as long as a step took, and looks ten times a second when there is nothing", () => {
  expect(pauseAfter("nothing-new", 1, 0)).toBe(100);
  expect(pauseAfter("replicated", 100, 0)).toBe(900);
  expect(pauseAfter("replicated", 60_000, 0)).toBe(60_000);
  expect([1, 2, 3, 9].map((failures) => pauseAfter("failed", 5, failures))).toEqual([
    250, 500, 1_000, 10_000,
  ]);
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
