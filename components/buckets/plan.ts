import { DAYS_A_MONTH, pricesOf, type Tier } from "../cost.ts";
import { ConfigError, type Fault } from "../errors.ts";
import {
  ABORT_DAYS,
  ACCESS_LOG_GB_PER_TURN,
  BALANCER_ACCOUNTS,
  BUCKETS_LINES,
  BUCKETS_PRICES,
  type BucketRole,
  CHAT_LOG_OBJECTS_PER_SHARD,
  LEAST_DAYS,
  PUTS_PER_TURN,
  REPLICA_FACTOR,
} from "./catalog.ts";
import type { BucketsSettings } from "./settings.ts";

/** What the buckets are for. Plain numbers; presets are known to the stack alone. */
export interface BucketsNeed {
  readonly region: string;
  /** Turns a month of all users. */
  readonly turns: number;
  readonly shards: number;
  /** Disk of one shard's state. */
  readonly shardDiskMiB: number;
  /** A balancer writes access logs. */
  readonly accessLogs: boolean;
  /** Days of logs of the environment. */
  readonly logDays: number;
  /** The environment deletes its buckets with what is in them. */
  readonly forceDestroy: boolean;
  readonly settings: BucketsSettings;
}

/** One rule of a bucket's lifecycle. */
export interface LifecycleRule {
  readonly id: string;
  /** Days after which an object is moved, and whereto; in order. */
  readonly moves?: readonly { readonly days: number; readonly to: keyof typeof LEAST_DAYS }[];
  /** Days after which an object is deleted. */
  readonly expireDays?: number;
  /** Days after which an old version is deleted, with markers of deletion that stand alone and unfinished uploads. */
  readonly oldVersionDays?: number;
  /** Days after which an unfinished upload is deleted. */
  readonly abortDays?: number;
}

export interface BucketPlan {
  readonly role: BucketRole;
  /** `kms`: under the data key. `s3`: under S3's own, the only one that balancers deliver logs to. */
  readonly encryption: "kms" | "s3";
  readonly lifecycle: readonly LifecycleRule[];
  /** Days of object lock for new objects; 0: none. */
  readonly objectLockDays: number;
}

export interface BucketsPlan {
  readonly replicas: BucketPlan;
  readonly chatLogs: BucketPlan;
  /** Null where no balancer writes. */
  readonly accessLogs: BucketPlan | null;
  /** Account of Elastic Load Balancing that delivers logs in the region; null: only the service does. */
  readonly balancerAccount: string | null;
  readonly shards: number;
  readonly replicaGb: number;
  readonly turns: number;
  readonly chatLogGb: number;
  readonly chatLogHotDays: number;
  readonly chatLogDays: number;
  readonly logDays: number;
}

/** Buckets with lifecycles and locks. Throws ConfigError. */
export function planBuckets(need: BucketsNeed): BucketsPlan {
  const { settings: s } = need;
  const faults: Fault[] = [];
  if (s.objectLockDays > 0 && need.forceDestroy) {
    faults.push({
      setting: "buckets.objectLockDays",
      problem: `is ${s.objectLockDays}, and this environment deletes its buckets with what is in them`,
      remedy: "Leave it out, or set environment to prod",
    });
  }
  if (s.chatLogDays <= s.chatLogHotDays) {
    faults.push({
      setting: "buckets.chatLogDays",
      problem: `is ${s.chatLogDays}, and chat logs are archived after ${s.chatLogHotDays} days before they are deleted`,
      remedy: "Set it higher than buckets.chatLogHotDays",
    });
  }
  if (s.objectLockDays > s.chatLogDays) {
    faults.push({
      setting: "buckets.objectLockDays",
      problem: `is ${s.objectLockDays}, longer than chat logs are kept (buckets.chatLogDays ${s.chatLogDays})`,
      remedy: "Lower it, or raise buckets.chatLogDays",
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);

  const cleanup: LifecycleRule = {
    id: "clean-up",
    oldVersionDays: s.oldVersionDays,
    abortDays: ABORT_DAYS,
  };
  return {
    replicas: {
      role: "replicas",
      encryption: "kms",
      lifecycle: [cleanup],
      objectLockDays: s.objectLockDays,
    },
    chatLogs: {
      role: "chat-logs",
      encryption: "kms",
      lifecycle: [{ id: "archive", moves: archiveMoves(s), expireDays: s.chatLogDays }, cleanup],
      objectLockDays: s.objectLockDays,
    },
    accessLogs: need.accessLogs
      ? {
          role: "access-logs",
          encryption: "s3",
          lifecycle: [
            { id: "expire", expireDays: need.logDays },
            { ...cleanup, oldVersionDays: 1 },
          ],
          objectLockDays: 0,
        }
      : null,
    balancerAccount: BALANCER_ACCOUNTS[need.region] ?? null,
    shards: need.shards,
    replicaGb: (need.shards * need.shardDiskMiB * REPLICA_FACTOR) / 1024,
    turns: need.turns,
    chatLogGb: (need.turns * s.chatLogKiBPerTurn) / 2 ** 20,
    chatLogHotDays: s.chatLogHotDays,
    chatLogDays: s.chatLogDays,
    logDays: need.logDays,
  };
}

/** Into an archive that is read at once; on into the deep one where logs lie long enough there to be cheaper. */
function archiveMoves(s: BucketsSettings): NonNullable<LifecycleRule["moves"]> {
  const deepFrom = s.chatLogHotDays + LEAST_DAYS.GLACIER_IR;
  const first = { days: s.chatLogHotDays, to: "GLACIER_IR" } as const;
  return s.chatLogDays - deepFrom >= LEAST_DAYS.DEEP_ARCHIVE
    ? [first, { days: deepFrom, to: "DEEP_ARCHIVE" }]
    : [first];
}

/** Days that a chat log lies in each class, in the order of the moves. */
function daysByClass(plan: BucketsPlan): { hot: number; archive: number; deep: number } {
  const moves = plan.chatLogs.lifecycle.find((rule) => rule.moves)?.moves ?? [];
  const deepFrom = moves.find((move) => move.to === "DEEP_ARCHIVE")?.days ?? plan.chatLogDays;
  return {
    hot: plan.chatLogHotDays,
    // Less than the least is billed as the least.
    archive: Math.max(LEAST_DAYS.GLACIER_IR, deepFrom - plan.chatLogHotDays),
    deep: plan.chatLogDays - deepFrom,
  };
}

/** The row of `fleet plan`, once as many logs lie there as are kept. */
export function tierBuckets(plan: BucketsPlan, region: string): Tier {
  const prices = pricesOf(BUCKETS_PRICES, region);
  const days = daysByClass(plan);
  const logGb = (n: number) => (plan.chatLogGb * n) / DAYS_A_MONTH;
  const moved = (plan.shards * CHAT_LOG_OBJECTS_PER_SHARD) / 1000;
  const line = (what: string, quantity: number, unit: string, priceUsd: number) => ({
    what,
    quantity,
    unit,
    priceUsd,
  });
  return {
    tier: "buckets",
    size: "S3",
    count: plan.accessLogs ? 3 : 2,
    why: `${plan.shards} shards replicated, ${plan.turns} turns a month`,
    survives: "a zone: objects lie in three; an overwritten one can be had back",
    costs: prices
      ? [
          line(BUCKETS_LINES.replicas, plan.replicaGb, "GB-month", prices.gbMonth),
          line(
            BUCKETS_LINES.puts,
            (plan.turns * PUTS_PER_TURN) / 1000,
            "1000 PUTs",
            prices.thousandPuts,
          ),
          line(BUCKETS_LINES.hot, logGb(days.hot), "GB-month", prices.gbMonth),
          line(BUCKETS_LINES.archive, logGb(days.archive), "GB-month", prices.archiveGbMonth),
          line(BUCKETS_LINES.deep, logGb(days.deep), "GB-month", prices.deepGbMonth),
          line(BUCKETS_LINES.moves, moved, "1000 objects", prices.thousandMoves),
          line(
            BUCKETS_LINES.deepMoves,
            days.deep > 0 ? moved : 0,
            "1000 objects",
            prices.thousandDeepMoves,
          ),
          line(
            BUCKETS_LINES.access,
            plan.accessLogs
              ? (plan.turns * ACCESS_LOG_GB_PER_TURN * plan.logDays) / DAYS_A_MONTH
              : 0,
            "GB-month",
            prices.gbMonth,
          ),
        ]
      : [],
  };
}
