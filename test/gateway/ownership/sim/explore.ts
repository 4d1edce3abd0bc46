import { expect } from "vitest";
import { REAL } from "./mutants.ts";
import { planFor, run, shrink } from "./run.ts";

/** Schedules a topology; more by OWNERSHIP_SCHEDULES. */
const SCHEDULES = Number(process.env.OWNERSHIP_SCHEDULES ?? 1_000);

/** Seeds to run: one when OWNERSHIP_SEED names it. */
function seeds(): number[] {
  const { OWNERSHIP_SEED } = process.env;
  if (OWNERSHIP_SEED !== undefined) return [Number(OWNERSHIP_SEED)];
  return Array.from({ length: SCHEDULES }, (_, i) => i + 1);
}

/** Runs many schedules; the first that breaks a law is made smaller and shown. */
export function explore(sameMachine: boolean): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const seed of seeds()) {
    const plan = planFor(seed, sameMachine);
    const { broken, counts } = run(plan, REAL);
    for (const [what, n] of Object.entries(counts)) totals[what] = (totals[what] ?? 0) + n;
    if (broken === null) continue;
    const least = shrink(plan, REAL);
    const again = run(least, REAL, true);
    const shown = [
      `${broken}; OWNERSHIP_SEED=${seed} runs it again.`,
      `The smallest schedule that breaks a law: ${again.broken}`,
      JSON.stringify(least),
      ...again.lines.slice(-60),
    ];
    expect.fail(shown.join("\n"));
  }
  return totals;
}

/** A model in which nothing happens proves nothing: each of these must have happened. */
export function expectLife(totals: Record<string, number>, what: readonly string[]): void {
  if (process.env.OWNERSHIP_SEED !== undefined) return;
  for (const kind of what) expect(totals[kind] ?? 0, kind).toBeGreaterThan(0);
}
