import { type FleetStatus, SETTINGS_REFUSED } from "../../gateway/contract.ts";
import { type FleetReadiness, readiness } from "../../gateway/readiness.ts";

export interface Verdict {
  level: FleetReadiness["level"];
  /** Cause and consequence, for the first line. */
  text: string;
  /** What needs a person, each with the command that deals with it. */
  notes: string[];
}

/** The first line of `status`: what is the case, why, and what it means. Pure. */
export function verdict(status: FleetStatus, stack: string): Verdict {
  const { level, serving, total, causes } = readiness(status);
  const lost = status.nodes.filter((n) => n.state === "lost");
  const resting = status.nodes.filter((n) => n.state === "maintenance");
  const active = status.nodes.filter((n) => n.state === "active");
  const suffix = stack === "dev" ? "" : ` --stack ${stack}`;
  const notes: string[] = [];
  for (const node of lost) notes.push(`node ${node.id} is lost (./fleet up${suffix})`);
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
    notes.push(`the ${status.store.kind} lease store does not answer (./fleet doctor${suffix})`);

  const what = `${serving} of ${total} shards serving`;
  const after =
    active.length > 1
      ? "one node may be lost"
      : active.length === 1
        ? status.nodes.length > 1
          ? "one more loss stops the service"
          : "one node: its loss stops the service"
        : "no node is active";
  const parts = [...causes.slice(0, 3), what, ...(level === "down" ? [] : [after])];
  return { level, text: parts.join(", "), notes };
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
