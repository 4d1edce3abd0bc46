import * as pulumi from "@pulumi/pulumi";

/** What a plan comes to, as policies judge it. */
export interface PlanFacts {
  readonly preset: string;
  readonly environment: string;
  readonly nodes: number;
  /** Null where everything stands on one machine. */
  readonly zones: number | null;
  readonly shards: number;
  /** Memory that a shard has for its agents, MiB. */
  readonly shardMemoryMiB?: number;
  readonly largestAgentMiB?: number;
  /** Estimate in US dollars, null where there are no prices. */
  readonly monthlyUsd: number | null;
}

/**
 * A stack's plan as a resource that stands before all others and makes nothing: policies stop a plan
 * that is too small or too dear before anything is made, and a preview shows what became of its cost.
 */
export class PlanRecord extends pulumi.ComponentResource {
  constructor(name: string, facts: PlanFacts, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:fleet:Plan", name, { ...facts }, opts);
    this.registerOutputs({});
  }
}
