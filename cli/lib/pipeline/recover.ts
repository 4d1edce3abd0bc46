import { askPulumi, type PulumiRunner, runPulumi } from "../../pulumi.ts";
import { CommandFailed } from "../errors.ts";
import { age, say } from "../terminal.ts";
import { type Holder, holdersOf } from "./locks.ts";

/** An operation that a run began and did not live to write down the end of. */
export interface Pending {
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  readonly name: string;
}

/** A resource as the state has it. */
export interface Kept {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  readonly protect?: boolean;
  readonly inputs?: Readonly<Record<string, unknown>>;
}

/** What a stack's state holds. */
export interface StackState {
  readonly resources: readonly Kept[];
  readonly pending: readonly Pending[];
}

/** What a recovery found and did. */
export interface Recovered {
  readonly stack: string;
  readonly holders: readonly Holder[];
  readonly pending: readonly Pending[];
  /** Creates of which nobody knows whether they came about; dropped from the state. */
  readonly dropped: readonly Pending[];
}

export interface RecoverOptions {
  readonly lostAfterMs?: number;
  /** `URN=ID` of pending creates that came about. */
  readonly made?: readonly (readonly [urn: string, id: string])[];
  /** Look at what the cloud has now. @default true */
  readonly refresh?: boolean;
}

/** The state as the backend has it. @throws CommandFailed when it cannot be read. */
export function stateOf(runner: PulumiRunner, stack: string): StackState {
  const text = askPulumi(runner, ["stack", "export", "--stack", stack]);
  if (text === null) {
    throw new CommandFailed(
      `The state of ${stack} cannot be read`,
      "Pulumi could not export it",
      `./fleet pulumi stack export --stack ${stack} shows its own words`,
    );
  }
  return readState(text);
}

/** Reads what `pulumi stack export` prints. */
export function readState(text: string): StackState {
  const { deployment } = JSON.parse(text) as {
    deployment?: {
      resources?: Kept[];
      pending_operations?: { type: string; resource: { urn: string; type: string } }[];
    };
  };
  return {
    resources: deployment?.resources ?? [],
    pending: (deployment?.pending_operations ?? []).map(({ type, resource }) => ({
      op: type,
      urn: resource.urn,
      type: resource.type,
      name: resource.urn.split("::").at(-1) as string,
    })),
  };
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
 * known; a create without a known id is dropped unless `made` tells its id.
 */
export async function recoverStack(
  runner: PulumiRunner,
  stack: string,
  { lostAfterMs, made = [], refresh = true }: RecoverOptions = {},
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
  const { pending } = stateOf(runner, stack);
  const known = new Set(made.map(([urn]) => urn));
  const strange = [...known].filter((urn) => !pending.some((one) => one.urn === urn));
  if (strange.length > 0) {
    throw new CommandFailed(
      `${strange.join(", ")} is no create that ${stack} waits for`,
      pending.length === 0 ? "nothing is pending" : pending.map(({ urn }) => urn).join(", "),
    );
  }
  const creates = pending.filter(({ op }) => op === "creating");
  const dropped = creates.filter(({ urn }) => !known.has(urn));
  for (const { op, type, name } of pending) say(`fleet: pending: ${op} ${type} ${name}`);
  if (pending.length > 0 && refresh) {
    const ids = made.flatMap(([urn, id]) => [
      "--import-pending-creates",
      urn,
      "--import-pending-creates",
      id,
    ]);
    const args = ["refresh", "--yes", "--skip-preview", "--stack", stack, ...ids];
    const clear = dropped.length > 0 ? ["--clear-pending-creates"] : [];
    const code = await runPulumi(runner, [...args, ...clear], { toStderr: true });
    if (code !== 0) {
      throw new CommandFailed(
        `${stack} is free, and what was pending is not settled`,
        `pulumi refresh ended with ${code}; its reason is above`,
        `mend that and run ./fleet recover --stack ${stack} again`,
      );
    }
  }
  return { stack, holders, pending, dropped };
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
