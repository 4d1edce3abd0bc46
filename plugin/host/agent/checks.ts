import type { HostCheck } from "../../../components/host/types.ts";
import { type Ran, type System, said, stillWanted } from "./system.ts";

const PAUSE_MS = 500;
/** A check that hangs has failed; it is asked again. */
const ONE_SECONDS = 15;

/**
 * Runs checks, each until it succeeds or its time is over. With `once` each is run one time; the names of
 * those that hold come back.
 * @throws Error with what the first one that does not hold says, and its remedy
 */
export async function runChecks(
  system: System,
  checks: Readonly<Record<string, HostCheck>>,
  { names, once }: { names: readonly string[]; once: boolean },
): Promise<string[]> {
  const held: string[] = [];
  for (const name of names) {
    const check = checks[name] as HostCheck;
    if (!once) system.say(`checking: ${name}`);
    const ran = await untilHolds(system, check, once);
    if (ran === null) held.push(name);
    else if (!once) {
      throw new Error(
        `${name}: not so within ${check.deadlineSeconds} s (${check.argv.join(" ")}): ${said(ran)}\n${check.remedy}`,
      );
    }
  }
  return held;
}

/** Null when it holds; what it said last when it does not. */
async function untilHolds(system: System, check: HostCheck, once: boolean): Promise<Ran | null> {
  const argv = ["timeout", "--kill-after=1", String(ONE_SECONDS), ...check.argv];
  for (const begun = system.now(); ; await system.sleep(PAUSE_MS)) {
    stillWanted(system);
    const ran = await system.run(argv);
    if (ran.code === 0) return null;
    if (once || system.now() - begun >= check.deadlineSeconds * 1_000) return ran;
  }
}
