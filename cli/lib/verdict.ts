import type { FleetStatus } from "../../gateway/contract.ts";

export interface Verdict {
  level: "ok" | "degraded" | "down";
  /** Cause and consequence, for the first line. */
  text: string;
  /** What needs a person, each with the command that deals with it. */
  notes: string[];
}

/** The first line of `status`: what is the case, why, and what it means. Pure. */
export function verdict(status: FleetStatus, stack: string): Verdict {
  const serving = status.shards.filter((s) => s.state === "serving" || s.state === "draining");
  const missing = status.shards.filter((s) => !serving.includes(s));
  const lost = status.nodes.filter((n) => n.state === "lost");
  const resting = status.nodes.filter((n) => n.state === "maintenance");
  const active = status.nodes.filter((n) => n.state === "active");
  const suffix = stack === "dev" ? "" : ` --stack ${stack}`;
  const notes: string[] = [];
  for (const node of lost)
    notes.push(`node ${node.id} is lost (./fleet refresh && ./fleet up${suffix})`);
  for (const node of resting)
    notes.push(`maintenance on ${node.id} (./fleet resume ${node.id}${suffix})`);
  for (const shard of status.shards.filter((s) => s.state === "failed")) {
    notes.push(
      `${shard.id} failed: ${shard.reason ?? "no reason given"} (./fleet logs ${shard.id}${suffix})`,
    );
  }
  if (!status.store.ok)
    notes.push(`the ${status.store.kind} lease store does not answer (./fleet doctor${suffix})`);

  const causes = [
    ...lost.map((n) => `node ${n.id} lost`),
    ...resting.map((n) => `node ${n.id} in maintenance`),
    ...missing.map((s) => `${s.id} ${s.state}`),
    ...(status.store.ok ? [] : ["lease store down"]),
  ];
  const what = `${serving.length} of ${status.shards.length} shards serving`;
  const after =
    active.length > 1
      ? "one node may be lost"
      : active.length === 1
        ? status.nodes.length > 1
          ? "one more loss stops the service"
          : "one node: its loss stops the service"
        : "no node is active";
  if (serving.length === 0) {
    return { level: "down", text: [...causes.slice(0, 3), what].join(", "), notes };
  }
  const level = causes.length === 0 ? "ok" : "degraded";
  return { level, text: [...causes.slice(0, 3), what, after].join(", "), notes };
}
