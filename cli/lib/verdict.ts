import { type FleetStatus, SETTINGS_REFUSED } from "../../gateway/contract.ts";
import { type FleetReadiness, readiness } from "../../gateway/readiness.ts";
import { stackOption } from "./options.ts";

export interface Verdict {
  level: FleetReadiness["level"];
  /** Cause and consequence, for the first line. */
  text: string;
  /** What needs a person, each with the command that deals with it. */
  notes: string[];
}

/**
 * The first line of `status`: what is the case, why, and what it means. Pure. `target`: the stack's, since what
 * brings a node back depends on what it runs on.
 */
export function verdict(status: FleetStatus, stack: string, target = "local"): Verdict {
  const { level, serving, total, causes } = readiness(status);
  const lost = status.nodes.filter((n) => n.state === "lost");
  const resting = status.nodes.filter((n) => n.state === "maintenance");
  const suffix = stackOption(stack);
  const notes: string[] = [];
  for (const { id } of lost) notes.push(`node ${id} is lost (${bringBack(id, stack, target)})`);
  for (const node of resting)
    notes.push(`maintenance on ${node.id} (./fleet resume ${node.id}${suffix})`);
  for (const shard of status.shards.filter((s) => s.state === "failed")) {
    notes.push(
      `${shard.id} failed: ${shard.reason ?? "no reason given"} (./fleet logs ${shard.id}${suffix})`,
    );
  }
  for (const { id, reason } of status.shards.filter(refusedSettings)) {
    const why = reason?.slice(SETTINGS_REFUSED.length);
    notes.push(
      `${id} runs with older settings, the new ones are refused: ${why} (mend them, ./fleet up${suffix})`,
    );
  }
  const bare = status.shards.filter((s) => s.replica?.unreplicated);
  if (bare.length > 0) {
    const ids = bare.map(({ id }) => id).join(", ");
    notes.push(
      `${ids} cannot be replicated: the loss of a node would lose what was said meanwhile (./fleet logs ${bare[0]?.id}${suffix})`,
    );
  }
  const { update } = status;
  if (update) notes.push(updateNote(update, suffix));
  if (!status.store.ok)
    notes.push(
      `the ${status.store.kind} lease store does not answer (${lookAtStore(status.store.kind, suffix)})`,
    );

  const what = `${serving} of ${total} shards serving`;
  const parts = [...causes.slice(0, 3), what, ...(level === "down" ? [] : [nextLoss(status)])];
  return { level, text: parts.join(", "), notes };
}

/** What the loss of one more node would mean: somebody must be left to serve, and enough to vote. */
function nextLoss({ nodes, store }: FleetStatus): string {
  const active = nodes.filter((n) => n.state === "active").length;
  if (active === 0) return "no node is active";
  if (nodes.length === 1) return "one node: its loss stops the service";
  const { voters } = store;
  if (active > 1 && (!voters || voters.total - voters.lost - 1 > voters.total / 2)) {
    return "one node may be lost";
  }
  return active > 1 && voters?.total === 1
    ? "one host alone votes: its loss stops the service"
    : "one more loss stops the service";
}

/** What brings a lost node back: processes are started by `up`, machines by whoever has them. */
export function bringBack(node: string, stack: string, target: string): string {
  if (target === "hosts") {
    return `power its host on; docs/operations.md, "A host is lost", also says what to do if ${node} is gone for good`;
  }
  const up = `./fleet up${stackOption(stack)}`;
  return target === "ec2" ? `docs/operations.md, "A machine on EC2 is lost"; ${up}` : up;
}

function lookAtStore(kind: string, suffix: string): string {
  if (kind === "etcd") return "journalctl -u openclaw-fleet-etcd on the hosts that vote";
  return `./fleet logs${suffix} says why`;
}

function updateNote(update: NonNullable<FleetStatus["update"]>, suffix: string): string {
  const { to, waiting, refused } = update;
  const shards = waiting.join(", ");
  if (!refused) return `${shards} will run OpenClaw ${to} when every node has it, one by one`;
  return `OpenClaw ${to} failed on ${refused.shard}, so ${shards} keep the one before: ${refused.why} (./fleet logs ${refused.shard}${suffix})`;
}

/** True while a shard's newest settings are not in force; it serves all the same. */
export function refusedSettings({ state, reason }: FleetStatus["shards"][number]): boolean {
  return state !== "failed" && (reason?.startsWith(SETTINGS_REFUSED) ?? false);
}
