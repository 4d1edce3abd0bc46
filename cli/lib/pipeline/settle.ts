import type { PulumiRunner } from "../../pulumi.ts";
import { ensureProviders } from "../plugins.ts";
import { say } from "../terminal.ts";
import { type AwsPlace, isPart } from "./known-ids.ts";
import { LookUpFailed, lookUp, type Question } from "./look-up.ts";
import type { Begun, StackState } from "./state.ts";
import { type Found, isTaggable, type Tags } from "./tagged-ids.ts";

/** How long what was made may be missing in AWS's list of tags; it follows within seconds, mostly. */
export const SETTLE_MS = 2 * 60_000;

/** What is known of creates that a run did not see the end of. */
export interface Settled {
  /** By URN: under which id they are there, or would be. */
  readonly ids: ReadonlyMap<string, string>;
  /** Looked for, and not there. */
  readonly absent: readonly Begun[];
  /** Nobody knows. */
  readonly unknown: readonly Begun[];
  /** Why the account could not be asked; null where it was, or had not to be. */
  readonly why: string | null;
}

export interface SettleOptions {
  /** Ids that a person told, by URN. */
  readonly told: ReadonlyMap<string, string>;
  /** The stack is destroyed next. */
  readonly ending: boolean;
  /** @default SETTLE_MS */
  readonly settleMs?: number | undefined;
}

/** The tag that everything of a fleet bears, with the stack's name. */
const FLEET_TAG = "openclaw-fleet";

const MOUNT_TARGET = "aws:efs/mountTarget:MountTarget";

/** A fleet on this machine takes over by itself what is in its place: it is made again. */
const TAKES_OVER = "openclaw:local:Fleet";

/** Finds out what became of a stack's pending creates. Asks each account that has some whose ids AWS made up. */
export async function settle(
  runner: PulumiRunner,
  stack: string,
  { pending, writtenAt }: StackState,
  { told, ending, settleMs = SETTLE_MS }: SettleOptions,
): Promise<Settled> {
  const ids = new Map(told);
  const absent: Begun[] = [];
  const unknown: Begun[] = [];
  const sought: Begun[] = [];
  for (const one of pending) {
    if (one.op !== "creating" || ids.has(one.urn)) continue;
    if (isPart(one.type) || (one.type === TAKES_OVER && !ending)) continue;
    if (one.id !== null) ids.set(one.urn, one.id);
    else if (isSought(one)) sought.push(one);
    else unknown.push(one);
  }
  const until = (writtenAt ?? Date.now()) + settleMs;
  let why: string | null = null;
  for (const [place, begun] of byPlace(sought)) {
    say(`fleet: looking in account ${place.accountId} for ${begun.length} resources by their tags`);
    try {
      await ensureProviders(runner, ["aws"]);
      const found = await lookUp(runner, questionOf(stack, place, begun, until));
      for (const one of begun) {
        const fate = found.find(({ urn }) => urn === one.urn) as Found;
        if (fate.id !== null) ids.set(one.urn, fate.id);
        else (fate.candidates.length === 0 ? absent : unknown).push(one);
      }
    } catch (error) {
      if (!(error instanceof LookUpFailed)) throw error;
      why = error.message;
      say(`fleet: ${why}`);
      unknown.push(...begun);
    }
  }
  return { ids, absent, unknown, why };
}

/** Whether AWS can be asked for it. */
const isSought = ({ type, place, inputs }: Begun): boolean =>
  place !== null && (type === MOUNT_TARGET || (isTaggable(type) && FLEET_TAG in tagsOf(inputs)));

function tagsOf(inputs: Begun["inputs"]): Tags {
  const tags = Object.entries((inputs.tags ?? {}) as Record<string, unknown>);
  return Object.fromEntries(
    tags.filter((tag): tag is [string, string] => typeof tag[1] === "string"),
  );
}

function byPlace(begun: readonly Begun[]): [AwsPlace, Begun[]][] {
  const places = new Map<string, [AwsPlace, Begun[]]>();
  for (const one of begun) {
    const place = one.place as AwsPlace;
    const key = JSON.stringify(place);
    const group = places.get(key) ?? [place, []];
    group[1].push(one);
    places.set(key, group);
  }
  return [...places.values()];
}

function questionOf(
  stack: string,
  place: AwsPlace,
  begun: readonly Begun[],
  until: number,
): Question {
  return {
    place,
    fleet: { key: FLEET_TAG, value: stack },
    until,
    wanted: begun
      .filter(({ type }) => type !== MOUNT_TARGET)
      .map(({ urn, type, inputs }) => ({ urn, type, tags: tagsOf(inputs) })),
    mounts: begun
      .filter(({ type }) => type === MOUNT_TARGET)
      .map(({ urn, inputs }) => ({
        urn,
        fileSystemId: String(inputs.fileSystemId),
        subnetId: String(inputs.subnetId),
      })),
  };
}
