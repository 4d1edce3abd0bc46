import { expect, test } from "vitest";
import { HABITATS, MUTANTS } from "./sim/mutants.ts";
import { planFor, run } from "./sim/run.ts";

/** Schedules within which every mutant must be caught; most die in the first few. */
const PATIENCE = 1_500;

test.each(Object.entries(MUTANTS))("is caught: %s", { timeout: 300_000 }, (name, rules) => {
  for (let seed = 1; seed <= PATIENCE; seed++) {
    const kinds = HABITATS[name];
    for (const sameMachine of [true, false]) {
      const { broken } = run(planFor(seed, sameMachine, kinds), rules);
      if (broken !== null) return;
    }
  }
  expect.fail(`no law was broken in ${PATIENCE} schedules: the model cannot tell this fault`);
});
