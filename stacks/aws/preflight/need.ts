import type { Zone } from "../../../components/context.ts";
import type { Counter, ServiceRoleName } from "./catalog.ts";

/** A quota that a plan uses up, as components name it. */
export interface QuotaNeed {
  readonly service: string;
  readonly code: string;
  readonly name: string;
  /** What the stack uses of it in all, not what a change adds. */
  readonly need: number;
}

/** What a stack wants of its account. Plain data, made of plans. */
export interface PreflightNeed {
  /** The stack's name. */
  readonly fleet: string;
  readonly region: string;
  readonly accountId: string;
  /** A tag that everything of this stack carries and nothing else: what it has already is not counted twice. */
  readonly ownTag: { readonly key: string; readonly value: string };
  readonly zones: {
    readonly count: number;
    /** Ids from `aws.zones`. */
    readonly pinned?: readonly string[];
    /** Ids of those that the stack stands in. */
    readonly stood?: readonly string[];
  } | null;
  /** Of all components; needs of the same quota are added up. */
  readonly quotas: readonly QuotaNeed[];
  /** Machine types that must be offered in every zone. */
  readonly instanceTypes: readonly string[];
  /** ARNs of `cluster.admins`; null: no cluster of ours. */
  readonly admins: readonly string[] | null;
  /** Name of the cluster, to know it among those that are there. */
  readonly clusterName?: string;
  readonly serviceRoles: readonly ServiceRoleName[];
}

/** What AWS said to a question, or why it said nothing. */
export type Answer<T> = { readonly value: T } | { readonly unknown: string };

/** What stands against a quota. */
export interface Usage {
  readonly used: number;
  /** Part of `used` that this stack has already. */
  readonly own: number;
  /** True: no more than `used`, perhaps less. */
  readonly atMost?: boolean;
}

/** Everything that was asked. */
export interface Answers {
  /** `arn`: the role behind a session, or the user. */
  readonly caller: Answer<{ readonly accountId: string; readonly arn: string }>;
  readonly zones: Answer<readonly Zone[]>;
  /** Zone ids by machine type. */
  readonly offerings: Readonly<Record<string, Answer<readonly string[]>>>;
  /** Limits by code. */
  readonly limits: Readonly<Record<string, Answer<number>>>;
  readonly usage: Readonly<Partial<Record<Counter, Answer<Usage>>>>;
  /** Names of roles that AWS's services have in the account. */
  readonly serviceRoles: Answer<readonly string[]>;
  /** Actions that IAM's simulator refuses; left out when nobody asked. */
  readonly refused?: Answer<readonly string[]>;
}

/** One check. What is not known has not passed. */
export interface PreflightCheck {
  readonly id: string;
  /** `warn`: it goes on, and a person should know. `unknown`: nobody can say. `fail`: it would fail later. */
  readonly state: "ok" | "warn" | "unknown" | "fail";
  /** The fact, with its numbers. */
  readonly text: string;
  readonly why?: string;
  /** What to do, with the command where there is one. */
  readonly fix?: string;
}

/** Needs of the same quota added up, in the order of their first mention. */
export function sumQuotas(quotas: readonly QuotaNeed[]): QuotaNeed[] {
  const sums = new Map<string, QuotaNeed>();
  for (const quota of quotas) {
    const key = `${quota.service} ${quota.code}`;
    const sum = sums.get(key);
    sums.set(key, sum ? { ...sum, need: sum.need + quota.need } : quota);
  }
  return [...sums.values()];
}
