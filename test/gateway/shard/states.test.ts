import fc from "fast-check";
import { expect, test } from "vitest";
import { SHARD_STATES } from "../../../gateway/contract.ts";
import {
  IllegalTransition,
  nextState,
  RUNNING,
  SHARD_EVENTS,
  ShardMachine,
  TRANSITIONS,
} from "../../../gateway/shard/states.ts";

const edges = SHARD_STATES.flatMap((from) =>
  SHARD_EVENTS.flatMap((event) => {
    const to = nextState(from, event);
    return to === null ? [] : [{ from, event, to }];
  }),
);

test("the way of a shard's life is legal", () => {
  const machine = new ShardMachine({ strict: true });
  for (const event of [
    "acquire",
    "restore",
    "start",
    "ready",
    "drain",
    "stop",
    "emptied",
  ] as const) {
    machine.apply(event);
  }
  expect(machine.state).toBe("idle");
});

test("every state is reached, and every state but failed can come back to idle", () => {
  const reached = new Set(["idle"]);
  for (let n = 0; n < SHARD_STATES.length; n++) {
    for (const { from, to } of edges) if (reached.has(from)) reached.add(to);
  }
  expect([...reached].sort()).toEqual([...SHARD_STATES].sort());
});

test("a state in which something may run is left to idle through stopping only", () => {
  for (const { from, to } of edges) {
    if (to === "idle" && RUNNING.includes(from)) expect(from).toBe("stopping");
  }
});

test("whatever runs can be stopped", () => {
  for (const state of RUNNING) expect(TRANSITIONS[state].stop).toBe("stopping");
});

test("only what is ready serves", () => {
  for (const { from, event, to } of edges) {
    if (to === "serving")
      expect([`${from} ready`, `${from} undrain`]).toContain(`${from} ${event}`);
  }
});

test("an illegal event changes nothing, is told, and throws when strict", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...SHARD_EVENTS), { maxLength: 40 }), (events) => {
      const told: unknown[] = [];
      const lenient = new ShardMachine({ onTransition: (...one) => told.push(one) });
      for (const event of events) {
        const before = lenient.state;
        const to = nextState(before, event);
        expect(lenient.apply(event)).toBe(to !== null);
        expect(lenient.state).toBe(to ?? before);
        expect(told.at(-1)).toEqual([before, event, to]);
      }
    }),
  );
  expect(() => new ShardMachine({ strict: true }).apply("ready")).toThrow(IllegalTransition);
});
