import { askPulumi, type PulumiRunner, runPulumi } from "../../pulumi.ts";
import { CommandFailed } from "../errors.ts";
import { age, say } from "../terminal.ts";
import { type Holder, holdersOf } from "./locks.ts";
import { type Settled, settle } from "./settle.ts";
import { type Pending, stateOf } from "./state.ts";
import { keepWhatDeletesNeed, takeOver } from "./take-over.ts";

/** What a recovery found and did. */
export interface Recovered {
  readonly stack: string;
  readonly holders: readonly Holder[];
  readonly pending: readonly Pending[];
  /** Creates that were looked for, and did not come about. */
  readonly absent: readonly Pending[];
  /** Creates of which nobody knows whether they came about; dropped from the state. */
  readonly dropped: readonly Pending[];
}

export interface RecoverOptions {
  readonly lostAfterMs?: number;
  /** `URN=ID` of pending creates that came about. */
  readonly made?: readonly (readonly [urn: string, id: string])[];
  /** Forget pending creates of which nobody knows. @default false: then they stop the recovery */
  readonly drop?: boolean;
  /** The stack is destroyed next, so nothing has to go on with what is there; implies `drop`. */
  readonly ending?: boolean;
  /** How long what was made may be missing in AWS's list of tags, ms. @default SETTLE_MS */
  readonly settleMs?: number;
}

/** Who held a stack, for people. */
export function holderWords({ pid, user, host, since, state }: Holder, now = Date.now()): string {
  const words = {
    alive: "it runs",
    dead: "it has ended",
    unknown: "whether it still runs cannot be seen from here",
    lost: "that machine was not heard of since",
  }[state];
  return `process ${pid} of ${user} on ${host}, since ${age(now - since)}: ${words}`;
}

/**
 * Frees a stack that a killed run left held, and settles what that run began. Refuses while the run
 * may still be alive. What the cloud has is looked at, so that changes and deletes that came about are
 * known. A create is found by the name that was given, or by its tags; one of which neither says whether
 * it came about, nor `made`, stops it, or is dropped where that is wished.
 */
export async function recoverStack(
  runner: PulumiRunner,
  stack: string,
  { lostAfterMs, made = [], drop = false, ending = false, settleMs }: RecoverOptions = {},
): Promise<Recovered> {
  const holders = holdersOf(runner, stack, lostAfterMs === undefined ? {} : { lostAfterMs });
  for (const holder of holders) say(`fleet: ${stack} is held by ${holderWords(holder)}`);
  const living = holders.filter(({ state }) => state === "alive" || state === "unknown");
  if (living.length > 0) throw mayBeAlive(stack, living);
  if (holders.length > 0) {
    if (askPulumi(runner, ["cancel", "--yes", "--stack", stack]) === null) {
      throw new CommandFailed(
        `The lock of ${stack} could not be removed`,
        holders.map(({ path }) => path).join(", "),
        `./fleet pulumi cancel --stack ${stack}`,
      );
    }
    say(`fleet: ${stack} is free`);
  }
  const state = stateOf(runner, stack);
  const { pending } = state;
  const told = new Map(made);
  const strange = [...told.keys()].filter((urn) => !pending.some((one) => one.urn === urn));
  if (strange.length > 0) {
    throw new CommandFailed(
      `${strange.join(", ")} is no create that ${stack} waits for`,
      pending.length === 0 ? "nothing is pending" : pending.map(({ urn }) => urn).join(", "),
    );
  }
  for (const { op, type, name } of pending) say(`fleet: pending: ${op} ${type} ${name}`);
  const settled = await settle(runner, stack, state, { told, ending, settleMs });
  const { ids, absent, unknown } = settled;
  if (unknown.length > 0 && !drop && !ending) throw undecided(stack, settled);
  if (pending.length > 0) {
    takeOver(runner, stack, ids);
    const args = ["refresh", "--yes", "--skip-preview", "--stack", stack];
    const code = await runPulumi(runner, [...args, "--clear-pending-creates"], { toStderr: true });
    if (code !== 0) {
      throw new CommandFailed(
        `${stack} is free, and what was pending is not settled`,
        `pulumi refresh ended with ${code}; its reason is above`,
        `mend that and run ./fleet recover --stack ${stack} again`,
      );
    }
    keepWhatDeletesNeed(runner, stack, pending);
  }
  return {
    stack,
    holders,
    pending: pending.map(bare),
    absent: absent.map(bare),
    dropped: unknown.map(bare),
  };
}

const bare = ({ op, urn, type, name, id }: Pending): Pending => ({ op, urn, type, name, id });

function undecided(stack: string, { unknown, why }: Settled): CommandFailed {
  return new CommandFailed(
    `${stack} is free, and of ${unknown.length} resources nobody knows whether they came about`,
    [...(why === null ? [] : [why]), unknown.map(({ urn }) => urn).join(", ")].join(": "),
    `look for each in the cloud by its name. It is there: --made URN=ID takes it over. It is not: ./fleet recover --stack ${stack} --drop`,
  );
}

function mayBeAlive(stack: string, living: readonly Holder[]): CommandFailed {
  const away = living.every(({ state }) => state === "unknown");
  return new CommandFailed(
    `${stack} is being changed by another run`,
    living.map((holder) => holderWords(holder)).join("; "),
    away
      ? "look whether that machine or job still runs; when it is gone for good, add --lost-after 0s"
      : "wait for it, or end it in order (Ctrl-C where it runs), then run this again",
  );
}
