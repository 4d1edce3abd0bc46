/** What rules and dashboards say about one fleet; the same on every target. */
export interface FleetFacts {
  readonly fleet: string;
  readonly nodes: readonly string[];
  readonly shards: readonly { readonly id: string; readonly recycleMiB: number }[];
  /** Shards have a replica elsewhere. */
  readonly replicated: boolean;
  /** What the plan costs; null without prices. */
  readonly monthlyUsd: number | null;
  /** Hours after which a node in maintenance is reminded of. */
  readonly maintenanceHours: number;
  /** US dollars for a million tokens, by kind. */
  readonly tokenPricesUsdPerMillion: Readonly<Record<string, number>>;
}

/** What is watched on hosts besides the fleet itself. */
export interface HostsFacts {
  /** Members of etcd; 0 where ownership is not decided by it. */
  readonly etcdMembers: number;
  /** Redis runs on hosts of the fleet. */
  readonly redis: boolean;
  /** Null without one. */
  readonly canary: CanaryFacts | null;
  /** File on hosts with the authority that signed the front's certificate; null: a public one, or somebody's own. */
  readonly frontAuthority: string | null;
}

export interface CanaryFacts {
  /** Seconds its answer may take. */
  readonly slowSeconds: number;
  /** From one message to the next. */
  readonly minutes: number;
}
