import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askPulumi, type PulumiRunner, runPulumi } from "../../pulumi.ts";
import { CommandFailed } from "../errors.ts";
import { age, say } from "../terminal.ts";
import { knownId } from "./known-ids.ts";
import { type Holder, holdersOf } from "./locks.ts";

/** An operation that a run began and did not live to write down the end of. */
export interface Pending {
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  /** Of a create: under which id it is in the cloud if it came about; null where only the cloud knows. */
  readonly id: string | null;
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
  /** Forget pending creates whose id nobody told. @default false: then they stop the recovery */
  readonly drop?: boolean;
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

/** Fields of an exported state that are read. */
interface Exported {
  readonly deployment?: {
    readonly resources?: readonly Kept[];
    readonly pending_operations?: readonly { readonly type: string; readonly resource: Kept }[];
  };
}

/** Reads what `pulumi stack export` prints. */
export function readState(text: string): StackState {
  const { deployment } = JSON.parse(text) as Exported;
  return {
    resources: deployment?.resources ?? [],
    pending: (deployment?.pending_operations ?? []).map(({ type, resource }) => ({
      op: type,
      urn: resource.urn,
      type: resource.type,
      name: resource.urn.split("::").at(-1) as string,
      id: knownId(resource.type, resource.inputs ?? {}) ?? null,
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
 * known; a create whose id `made` does not tell stops it, or is dropped where that is wished.
 */
export async function recoverStack(
  runner: PulumiRunner,
  stack: string,
  { lostAfterMs, made = [], drop = false }: RecoverOptions = {},
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
  const dropped = creates.filter(({ urn, id }) => !known.has(urn) && id === null);
  const ids = new Map([
    ...creates.flatMap(({ urn, id }) => (id === null ? [] : [[urn, id] as const])),
    ...made,
  ]);
  for (const { op, type, name } of pending) say(`fleet: pending: ${op} ${type} ${name}`);
  if (dropped.length > 0 && !drop) throw undecided(stack, dropped);
  if (pending.length > 0) {
    takeOver(runner, stack, ids);
    const args = ["refresh", "--yes", "--skip-preview", "--stack", stack];
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

/**
 * Writes creates into the state as resources under these ids; the refresh that follows takes out again
 * what is not there. Pulumi's own `--import-pending-creates` leaves them pending, and looks at nothing.
 */
function takeOver(runner: PulumiRunner, stack: string, ids: ReadonlyMap<string, string>): void {
  const text = askPulumi(runner, ["stack", "export", "--stack", stack]);
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-recover-"));
  try {
    const state = JSON.parse(text ?? "{}") as Exported;
    const { resources = [], pending_operations: pending = [] } = state.deployment ?? {};
    const begun = pending.filter(
      ({ type, resource }) => type === "creating" && ids.has(resource.urn),
    );
    if (begun.length === 0) return;
    const taken = begun.map(({ resource }) => ({
      ...resource,
      id: ids.get(resource.urn) as string,
    }));
    const deployment = {
      ...state.deployment,
      resources: [...resources, ...taken],
      pending_operations: pending.filter((one) => !begun.includes(one)),
    };
    const file = join(folder, "state.json");
    writeFileSync(file, JSON.stringify({ ...state, deployment }), { mode: 0o600 });
    if (askPulumi(runner, ["stack", "import", "--stack", stack, "--file", file]) !== null) return;
    throw new CommandFailed(
      `The state of ${stack} did not take what was begun`,
      taken.map(({ urn }) => urn).join(", "),
      `./fleet recover --stack ${stack} --drop goes on without`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function undecided(stack: string, creates: readonly Pending[]): CommandFailed {
  return new CommandFailed(
    `${stack} is free, and of ${creates.length} resources nobody knows whether they came about`,
    creates.map(({ urn }) => urn).join(", "),
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
