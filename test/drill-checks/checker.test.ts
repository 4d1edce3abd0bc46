import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { check } from "../drill/checker.ts";
import { ALLOWED } from "../drill/checks/requests.ts";
import { seeded } from "../drill/random.ts";
import type { Expectation } from "../drill/verdict.ts";
import { MUTANTS } from "./mutants.ts";
import { lawfulWorld, type WorldShape } from "./world.ts";

const shape: fc.Arbitrary<WorldShape> = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
  shards: fc.integer({ min: 1, max: 3 }),
  turns: fc.integer({ min: 4, max: 12 }),
  crashes: fc.integer({ min: 1, max: 4 }),
});

const EXPECTED: Expectation = {
  telegram: true,
  cron: true,
  websocket: false,
  faults: ["kill-gateway"],
};

const failing = (world: ReturnType<typeof lawfulWorld>, events = world.events) =>
  check(world.header, events, EXPECTED).verdicts.filter((verdict) => verdict.status !== "passed");

describe("the checker", () => {
  test("passes every history that keeps the laws", () => {
    fc.assert(
      fc.property(shape, (given) => {
        expect(failing(lawfulWorld(given))).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  for (const mutant of MUTANTS) {
    test(`catches ${mutant.name}`, () => {
      let tried = 0;
      fc.assert(
        fc.property(shape, fc.integer({ min: 0, max: 2 ** 31 }), (given, salt) => {
          const world = lawfulWorld(given);
          const random = seeded(salt);
          const pick = <T>(items: T[]) => (items.length > 0 ? random.pick(items) : undefined);
          const events = mutant.mutate(world, pick);
          if (events === null) return;
          tried++;
          const names = failing(world, events).map((verdict) => verdict.check);
          expect(names).toContain(mutant.caughtBy);
        }),
        { numRuns: 60 },
      );
      expect(tried).toBeGreaterThan(5);
    });
  }

  test("calls an empty history unevaluated in every check, and so failed", () => {
    const world = lawfulWorld({ seed: 1, shards: 1, turns: 4, crashes: 1 });
    const outcome = check(world.header, [], EXPECTED);
    expect(outcome.ok).toBe(false);
    expect(outcome.verdicts.map((verdict) => verdict.status)).toEqual(
      outcome.verdicts.map(() => "unevaluated"),
    );
  });

  test("says what a violation's evidence is in the violation's own line", () => {
    const world = lawfulWorld({ seed: 2, shards: 1, turns: 6, crashes: 1 });
    const answered = world.events.find((event) => event.type === "answered");
    const events = world.events.filter((event) => event !== answered);
    const [verdict] = failing(world, events);
    expect(verdict?.violations[0]?.text).toMatch(/turn-[0-9a-f]{12}.*sent at .* never ended/);
  });

  test("a chat is never excused by a crash, and a planned move excuses no HTTP route", () => {
    expect(ALLOWED.chat.owner_lost).toBeUndefined();
    expect(ALLOWED.chat.gateway_error).toBeUndefined();
    expect(ALLOWED.stream.gateway_error).toBeUndefined();
    expect(ALLOWED.stream.owner_lost).toBeUndefined();
    for (const kind of ["chat", "stream", "v1", "v1-stream", "telegram"] as const) {
      for (const faults of Object.values(ALLOWED[kind])) expect(faults).not.toContain("planned");
    }
  });

  test("a stepped clock excuses nothing", () => {
    for (const codes of Object.values(ALLOWED)) {
      for (const faults of Object.values(codes)) expect(faults).not.toContain("clock");
    }
  });
});
