/** How long things live, by environment. Components read the fields and never the environment's name. */
export interface Lifetime {
  /** Pulumi refuses to delete what holds data. */
  readonly protect: boolean;
  /** AWS itself refuses to delete databases, balancers and their like. */
  readonly deletionProtection: boolean;
  /** Databases leave a last snapshot. */
  readonly finalSnapshot: boolean;
  /** Buckets are deleted with what is in them, and nothing is left behind on purpose. */
  readonly forceDestroy: boolean;
  /** Days of automatic backups; 0 turns them off. */
  readonly backupDays: number;
  /** Days a deleted secret can be had back; 0 deletes at once. */
  readonly secretRecoveryDays: number;
  /** Days a deleted KMS key can be had back. AWS's least is 7. */
  readonly keyRecoveryDays: number;
  /** Days of log groups. */
  readonly logDays: number;
}

export type Environment = "prod" | "staging" | "dev";

/** Nothing that a stack made outlives it, but keys that AWS deletes after seven days. */
const EPHEMERAL: Lifetime = {
  protect: false,
  deletionProtection: false,
  finalSnapshot: false,
  forceDestroy: true,
  backupDays: 0,
  secretRecoveryDays: 0,
  keyRecoveryDays: 7,
  logDays: 3,
};

export const LIFETIMES: Readonly<Record<Environment, Lifetime>> = {
  prod: {
    protect: true,
    deletionProtection: true,
    finalSnapshot: true,
    forceDestroy: false,
    backupDays: 14,
    secretRecoveryDays: 30,
    keyRecoveryDays: 30,
    logDays: 90,
  },
  staging: EPHEMERAL,
  dev: EPHEMERAL,
};

/**
 * The lifetime of an environment. `keepData` (the setting) outside of prod keeps what prod keeps and
 * protects none of it: so a production stack is taken down in two steps, and its data is not the price.
 */
export function lifetimeOf(environment: Environment, keepData: boolean | undefined): Lifetime {
  if (environment === "prod" || !keepData) return LIFETIMES[environment];
  return { ...LIFETIMES.prod, protect: false, deletionProtection: false };
}
