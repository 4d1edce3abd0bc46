import { createHash } from "node:crypto";
import type { World } from "./world.ts";

/**
 * - `refused`: it was not done.
 * - `half`: it was made, and then did not become ready in time; the provider keeps it as begun.
 * - `lost`: it was done, and the answer did not come; the provider keeps its id, as it does when it
 *   gives up waiting.
 */
export type How = "refused" | "half" | "lost";
export type Op = "create" | "update" | "delete";

/** Of a creation all three can be; of what exists already nothing is half done. */
const HOWS: Readonly<Record<Op, readonly How[]>> = {
  create: ["refused", "half", "lost"],
  update: ["refused", "lost"],
  delete: ["refused", "lost"],
};

export type FaultPlan =
  /** The n-th call of a kind fails, counted from 1 since the account's counters were cleared. */
  | { readonly kind: "nth"; readonly op: Op; readonly n: number; readonly how: How }
  /** The first call of each kind (of `ops`) for a resource fails, for the `part`-th of `of` shares of all. */
  | {
      readonly kind: "first";
      readonly part: number;
      readonly of: number;
      readonly ops: readonly Op[];
    };

const OPS = Object.keys(HOWS) as Op[];

/** `create:17:lost`, `first:2/3`, or `first:2/3:create,update`; null for nothing. */
export function parseFault(text: string | undefined): FaultPlan | null {
  if (!text) return null;
  const first = /^first:(\d+)\/([1-9]\d*)(?::([a-z,]+))?$/.exec(text);
  if (first) {
    const named = first[3]?.split(",");
    const ops = OPS.filter((op) => named?.includes(op) ?? true);
    return { kind: "first", part: Number(first[1]), of: Number(first[2]), ops };
  }
  const nth = /^(create|update|delete):(\d+):(refused|half|lost)$/.exec(text);
  if (!nth) throw new Error(`${text} is no fault: write create:17:lost or first:2/3`);
  const [, op, n, how] = nth;
  return { kind: "nth", op: op as Op, n: Number(n), how: how as How };
}

/** Counts one call, and says how it fails; null when it does not. How a first call fails follows from the seed. */
export function dueFault(
  plan: FaultPlan | null,
  { op, urn, seed }: { readonly op: Op; readonly urn: string; readonly seed: string },
  { counts }: World,
): How | null {
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
    return counts[what];
  };
  const n = count(op);
  if (!plan) return null;
  if (plan.kind === "nth") return plan.op === op && plan.n === n ? plan.how : null;
  if (!plan.ops.includes(op)) return null;
  if (chanceOf(`share ${op} ${urn}`, plan.of) !== plan.part % plan.of) return null;
  if (count(`first ${op} ${urn}`) > 1) return null;
  const hows = HOWS[op];
  return hows[chanceOf(`how ${seed} ${op} ${urn}`, hows.length)] ?? null;
}

/** How long an answer takes, ms: random by seed, so that another seed is another order. */
export function delayOf(seed: string, op: string, urn: string, longestMs: number): number {
  if (longestMs <= 0) return 0;
  return (numberOf(`${seed} ${op} ${urn}`) / 2 ** 32) * longestMs;
}

const chanceOf = (text: string, bound: number): number => numberOf(text) % bound;

/** 32 bits that follow from a text. */
function numberOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0);
}
