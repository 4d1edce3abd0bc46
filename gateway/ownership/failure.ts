import type { NodeId } from "../contract.ts";

/**
 * A shard that cannot run is released with a record of it as the lease's `reason`, so that it outlives
 * every supervisor: which nodes tried, under which settings and pin. New settings or another pin make
 * the record void.
 */
export interface FailureRecord {
  /** Nodes it failed on, the latest last. */
  nodes: NodeId[];
  /** Settings it failed under. */
  revision: string;
  pin: NodeId | null;
  /** The latest node's own words. */
  why: string;
}

/** Failures on this many nodes make a shard `failed`. */
export const FAILED_NODES = 2;

const PREFIX = "failed ";
/** Longer texts are cut: the record travels in every view. */
const MAX_WHY = 300;

/** The record as a lease's reason. */
export function failureReason(record: FailureRecord): string {
  return PREFIX + JSON.stringify({ ...record, why: record.why.slice(0, MAX_WHY) });
}

/** The record in a lease's reason; null when it is another reason, or no valid record. */
export function parseFailure(reason: string | null): FailureRecord | null {
  if (!reason?.startsWith(PREFIX)) return null;
  let value: unknown;
  try {
    value = JSON.parse(reason.slice(PREFIX.length));
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { nodes, revision, pin, why } = value as Record<string, unknown>;
  if (!Array.isArray(nodes) || !nodes.every((node) => typeof node === "string")) return null;
  if (typeof revision !== "string" || typeof why !== "string") return null;
  if (pin !== null && typeof pin !== "string") return null;
  return { nodes, revision, pin, why };
}

/** The record after one more node gave up. */
export function addFailure(
  before: FailureRecord | null,
  now: { node: NodeId; revision: string; pin: NodeId | null; why: string },
): FailureRecord {
  const { node, ...rest } = now;
  return { nodes: [...(before?.nodes ?? []).filter((n) => n !== node), node], ...rest };
}
