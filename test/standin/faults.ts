import { createHash } from "node:crypto";

/**
 * - `refused`: it was not done.
 * - `half`: it was made, and then did not become ready in time; the provider keeps it as begun.
 * - `lost`: it was done, and the answer did not come; the provider keeps its id, as it does when it
 *   gives up waiting.
 */
export type How = "refused" | "half" | "lost";

/** The n-th call of a kind fails, counted from 1 since the account's counters were cleared. */
export interface FaultPlan {
  readonly op: "create" | "update" | "delete";
  readonly n: number;
  readonly how: How;
}

/** `create:17:lost`; null for nothing. */
export function parseFault(text: string | undefined): FaultPlan | null {
  if (!text) return null;
  const match = /^(create|update|delete):(\d+):(refused|half|lost)$/.exec(text);
  if (!match) throw new Error(`${text} is no fault: write create:17:lost`);
  const [, op, n, how] = match;
  return { op: op as FaultPlan["op"], n: Number(n), how: how as How };
}

/** How long an answer takes, ms: random by seed, so that another seed is another order. */
export function delayOf(seed: string, op: string, urn: string, longestMs: number): number {
  if (longestMs <= 0) return 0;
  const digest = createHash("sha256").update(`${seed} ${op} ${urn}`).digest();
  return (digest.readUInt32BE(0) / 2 ** 32) * longestMs;
}
