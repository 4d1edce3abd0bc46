import { REDIS_SERVER_SETTINGS } from "../../gateway/sessions/redis-layout.ts";
import { HOURS_A_MONTH, pricesOf, type Tier } from "../cost.ts";
import { ConfigError, type Fault } from "../errors.ts";
import {
  CACHE_LINES,
  CACHE_NODES,
  CACHE_PRICES,
  CACHE_SHAPES,
  type CacheMode,
  type CacheNode,
  type CachePrice,
  MAX_REPLICAS,
  MAX_SNAPSHOT_DAYS,
  RESERVED_PERCENT,
  VALKEY,
} from "./catalog.ts";
import type { CacheSettings } from "./settings.ts";

/** What the cache is for. Plain numbers; presets are known to the stack alone. */
export interface CacheNeed {
  /** `none`: there is no cache, and the plan is null. */
  readonly mode: "none" | CacheMode;
  /** Concurrent users. */
  readonly users: number;
  /** Zones that copies are spread over. */
  readonly zones: number;
  /** Days of backups of the environment. */
  readonly backupDays: number;
  readonly settings: CacheSettings;
}

export interface CachePlan {
  readonly engineVersion: string;
  readonly family: string;
  readonly nodeType: string;
  /** Cluster protocol, also with one shard. */
  readonly clusterMode: boolean;
  readonly shards: number;
  /** Copies of each shard beside its primary. */
  readonly replicas: number;
  /** Copies in another zone, one of which takes over. */
  readonly multiAz: boolean;
  /** Days of snapshots; 0: none. */
  readonly snapshotDays: number;
  /** Data of all users, MiB. */
  readonly dataMiB: number;
  /** The number that decided the node type. */
  readonly why: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Data of one node type, MiB, after what ElastiCache keeps for itself. */
export const usableMiB = (node: CacheNode): number =>
  Math.floor(node.memoryMiB * (1 - RESERVED_PERCENT / 100));

/** The smallest cache of the mode that holds every user's data. Null for mode `none`. Throws ConfigError. */
export function planCache(need: CacheNeed): CachePlan | null {
  const { mode, settings } = need;
  if (mode === "none") return null;
  const shape = CACHE_SHAPES[mode];
  const faults: Fault[] = [];
  if (shape.shards > 1 && !settings.clusterMode) {
    faults.push({
      setting: "cache.clusterMode",
      problem: `is false, and this preset's cache has ${shape.shards} shards`,
      remedy: "Leave it out, or take a smaller preset",
    });
  }
  const dataMiB = dataOf(need);
  const perShardMiB = Math.ceil(dataMiB / shape.shards);
  const node = chooseNode(shape.smallest, perShardMiB, settings.nodeType, faults);
  const replicas =
    shape.replicas === "zones" ? Math.min(MAX_REPLICAS, need.zones - 1) : shape.replicas;
  if (shape.replicas !== 0 && need.zones < 2) {
    faults.push({
      setting: "aws.zones",
      problem: `are ${need.zones}, and a cache that survives a zone needs 2`,
      remedy: "Name two or three zones",
    });
  }
  if (faults.length > 0 || node === undefined) throw new ConfigError(faults);
  return {
    engineVersion: VALKEY.version,
    family: VALKEY.family,
    nodeType: node.type,
    clusterMode: settings.clusterMode,
    shards: shape.shards,
    replicas,
    multiAz: replicas > 0,
    snapshotDays: Math.min(settings.snapshotDays ?? need.backupDays, MAX_SNAPSHOT_DAYS),
    dataMiB,
    why: `${need.users} users keep ${dataMiB} MiB, ${perShardMiB} MiB a shard; the node has room for ${usableMiB(node)} MiB`,
    // Only what differs from the family: the provider reads back what AWS calls changed, and no default is.
    parameters: {
      // What is evicted could be the record that a turn has run already: a refused write is heard, a second turn is not.
      ...REDIS_SERVER_SETTINGS,
      ...(settings.clusterMode ? { "cluster-enabled": "yes" } : {}),
    },
  };
}

function dataOf({ users, settings: s }: CacheNeed): number {
  const perUser = s.sessionsPerUser * s.bytesPerSession + s.answersPerUserDay * s.bytesPerAnswer;
  return Math.ceil((users * perUser) / 2 ** 20);
}

function chooseNode(
  smallest: string,
  needMiB: number,
  named: string | undefined,
  faults: Fault[],
): CacheNode | undefined {
  const largest = CACHE_NODES.at(-1) as CacheNode;
  if (named !== undefined) {
    const node = CACHE_NODES.find((n) => n.type === named);
    if (!node) {
      faults.push({
        setting: "cache.nodeType",
        problem: `is ${named}, which is not listed`,
        remedy: `Write one of ${CACHE_NODES.map((n) => n.type).join(", ")}`,
      });
    } else if (usableMiB(node) < needMiB) {
      faults.push({
        setting: "cache.nodeType",
        problem: `is ${named} with room for ${usableMiB(node)} MiB, and a shard needs ${needMiB} MiB`,
        remedy: "Take a larger one, or leave it out",
      });
    }
    return node;
  }
  const from = CACHE_NODES.findIndex((n) => n.type === smallest);
  const node = CACHE_NODES.slice(from).find((n) => usableMiB(n) >= needMiB);
  if (!node) {
    faults.push({
      setting: "cache",
      problem: `needs ${needMiB} MiB a shard, more than ${largest.type} holds (${usableMiB(largest)} MiB)`,
      remedy: "Lower cache.answersPerUserDay or cache.bytesPerAnswer, or take a larger preset",
    });
  }
  return node;
}

/** What happens to a cache between two plans. */
export interface CacheStep {
  /** `replace` and `delete` lose what is in it: sessions are rebuilt from the gateways, stored answers are gone. */
  readonly kind: "same" | "create" | "online" | "replace" | "delete";
  /** What changes, for the preview. */
  readonly changes: readonly string[];
}

/**
 * Compares two plans. A step that replaces the store is named; the steps that AWS cannot take, back
 * from cluster mode and to an older engine, throw ConfigError.
 */
export function cacheStep(previous: CachePlan | null, next: CachePlan | null): CacheStep {
  if (!previous && !next) return { kind: "same", changes: [] };
  if (!previous) return { kind: "create", changes: ["a cache is made"] };
  if (!next) return { kind: "delete", changes: ["the cache is deleted with what is in it"] };
  const faults: Fault[] = [];
  if (previous.clusterMode && !next.clusterMode) {
    faults.push({
      setting: "cache.clusterMode",
      problem: "is false, and the cache is in cluster mode, which ElastiCache cannot leave",
      remedy:
        "Leave it out; a fleet without a cache loses it (preset solo), and may then choose anew",
    });
  }
  if (older(next.engineVersion, previous.engineVersion)) {
    faults.push({
      setting: "cache",
      problem: `has engine ${VALKEY.engine} ${previous.engineVersion}, and ${next.engineVersion} would be made from scratch`,
      remedy: "Run a release of openclaw-fleet that has the cache's engine version",
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);
  const changes = (["nodeType", "shards", "replicas", "engineVersion", "snapshotDays"] as const)
    .filter((key) => previous[key] !== next[key])
    .map((key) => `${key} ${previous[key]} → ${next[key]}`);
  if (!previous.clusterMode && next.clusterMode) {
    return {
      kind: "replace",
      changes: [
        "cluster mode on: the cache is replaced; sessions are rebuilt, stored answers are lost",
        ...changes,
      ],
    };
  }
  return { kind: changes.length > 0 ? "online" : "same", changes };
}

function older(a: string, b: string): boolean {
  const [aMajor = 0, aMinor = 0] = a.split(".").map(Number);
  const [bMajor = 0, bMinor = 0] = b.split(".").map(Number);
  return aMajor === bMajor ? aMinor < bMinor : aMajor < bMajor;
}

/** Nodes of a plan. */
export const cacheNodes = (plan: CachePlan): number => plan.shards * (1 + plan.replicas);

/** The row of `fleet plan`. */
export function tierCache(plan: CachePlan, region: string): Tier {
  const nodes = cacheNodes(plan);
  const prices = pricesOf(CACHE_PRICES, region);
  const paidSnapshots = Math.max(0, plan.snapshotDays - 1); // AWS gives one for nothing
  return {
    tier: "cache",
    size: `${plan.nodeType}, ${plan.shards} ${plan.shards === 1 ? "shard" : "shards"} × ${1 + plan.replicas}`,
    count: nodes,
    why: plan.why,
    survives: plan.multiAz
      ? "a node or a zone: a copy takes over within a minute"
      : "nothing; while its node is replaced sessions are read from the gateways and repeated keys are not known",
    costs: prices
      ? [
          {
            what: CACHE_LINES.nodes,
            quantity: nodes * HOURS_A_MONTH,
            unit: "h",
            priceUsd: prices[plan.nodeType as CachePrice],
          },
          {
            what: CACHE_LINES.backups,
            quantity: (paidSnapshots * plan.dataMiB) / 1024,
            unit: "GB-month",
            priceUsd: prices.backupGbMonth,
          },
          {
            what: CACHE_LINES.secret,
            quantity: 1,
            unit: "secret-month",
            priceUsd: prices.secretMonth,
          },
        ]
      : [],
  };
}
