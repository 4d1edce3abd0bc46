import type { Props } from "../../plugin/values.ts";
import type { Op } from "./faults.ts";
import type { World } from "./world.ts";

/** A host that stands for the machine of a node. */
export interface StandInMachine {
  /** What AWS would call its private address. */
  readonly address: string;
  /** Reaches it from outside the network. */
  readonly publicAddress: string;
}

/** What happened to an instance, as whoever owns the hosts is told of it. */
export interface InstanceChange {
  readonly op: Op;
  /** The node that it is the machine of. */
  readonly node: string;
  readonly instanceId: string;
  /** As it is now; empty when it is gone. */
  readonly instanceType: string;
}

/** The host of a node, which is in the name of all that belongs to its machine; undefined: made up as usual. */
export function machineOf(urn: string, world: World): StandInMachine | undefined {
  const node = nodeOf(urn, world);
  return node === undefined ? undefined : world.settings.machines?.[node];
}

function nodeOf(urn: string, { settings }: World): string | undefined {
  const name = `${urn.split("::").at(-1)}-`;
  return Object.keys(settings.machines ?? {}).find((node) => name.includes(`-${node}-`));
}

/** What to tell of an instance's change; null when it is no host. */
export function instanceChange(
  op: Op,
  { urn, id, state }: { readonly urn: string; readonly id: string; readonly state: Props },
  world: World,
): InstanceChange | null {
  const node = nodeOf(urn, world);
  if (node === undefined) return null;
  return { op, node, instanceId: id, instanceType: String(state.instanceType ?? "") };
}

/** Tells of a change, and returns when the machine is as AWS says. Throws with the listener's words. */
export async function tell(url: string, change: InstanceChange): Promise<void> {
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(change) });
  if (!answer.ok) throw new Error(`the host of ${change.instanceId}: ${await answer.text()}`);
}
