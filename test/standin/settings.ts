import { type FaultPlan, parseFault } from "./faults.ts";

/** What a test tells the stand-in, through the environment of the engine. */
export interface StandInSettings {
  /** The account's file. */
  readonly account: string;
  /** Digits of the account that calls. */
  readonly accountId: string;
  /** Who calls, before a provider takes on a role. */
  readonly caller: string;
  readonly seed: string;
  /** Longest delay of an answer, ms. */
  readonly delayMs: number;
  /** Ends of URNs whose answers take many times as long. */
  readonly slow: readonly string[];
  /** End of the URN that the slow ones wait for instead: they begin once it was tried. null: they wait for nobody. */
  readonly slowUntil: string | null;
  readonly fault: FaultPlan | null;
  /** Ends of URNs that are answered as made, and are not. */
  readonly ghosts: readonly string[];
  /** URL that is told of each instance before the engine is; null: nobody. */
  readonly machines: string | null;
}

export const ACCOUNT_ID = "123456789012";
export const CALLER = `arn:aws:iam::${ACCOUNT_ID}:role/deployer`;

export function settingsFrom(env: NodeJS.ProcessEnv): StandInSettings {
  const account = env.STANDIN_ACCOUNT;
  if (!account) throw new Error("STANDIN_ACCOUNT names no file");
  const accountId = env.STANDIN_ACCOUNT_ID ?? ACCOUNT_ID;
  return {
    account,
    accountId,
    caller: env.STANDIN_CALLER ?? `arn:aws:iam::${accountId}:role/deployer`,
    seed: env.STANDIN_SEED ?? "1",
    delayMs: Number(env.STANDIN_DELAY_MS ?? 0),
    slow: (env.STANDIN_SLOW ?? "").split(",").filter(Boolean),
    slowUntil: env.STANDIN_SLOW_UNTIL ?? null,
    fault: parseFault(env.STANDIN_FAULT),
    ghosts: (env.STANDIN_GHOSTS ?? "").split(",").filter(Boolean),
    machines: env.STANDIN_MACHINES ?? null,
  };
}
