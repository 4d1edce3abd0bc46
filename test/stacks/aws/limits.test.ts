import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { MAX_LOCK_DAYS } from "../../../components/buckets/catalog.ts";
import { CACHE_NODES, MAX_REPLICAS, MAX_SNAPSHOT_DAYS } from "../../../components/cache/catalog.ts";
import { usableMiB } from "../../../components/cache/plan.ts";
import {
  DATABASE_CLASSES,
  MAX_BACKUP_DAYS,
  MAX_CONNECTIONS,
  PROXY_PAIRS,
  STORAGE_GIB,
} from "../../../components/database/catalog.ts";
import { connectionsOf } from "../../../components/database/plan.ts";
import { NAME_MAX } from "../../../components/dns/catalog.ts";
import { LIMITS } from "../../../components/edge/catalog.ts";
import { WAF } from "../../../components/edge/waf-catalog.ts";
import {
  ROOT_MIN_GIB,
  STATE_MIN_GIB,
  VOLUME_MAX_GIB,
} from "../../../components/hosts-ec2/catalog.ts";
import { RECOVERY_DAYS } from "../../../components/keys/catalog.ts";
import { VPC_PREFIX } from "../../../components/network/catalog.ts";
import { GRACE_MINUTES_MIN, KARPENTER } from "../../../components/nodes/catalog.ts";
import type { AwsPlan } from "../../../stacks/aws/plan.ts";
import { planIfPossible, stacks } from "./arbitrary.ts";

/** Hundreds of plans or whole stacks each, on machines that do other work too. */
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

type Bound = readonly [what: string, value: number, least: number, most: number];

/** Every number of a plan that a catalog names a limit for. */
function bounds(plan: AwsPlan): Bound[] {
  const { cache, database, edge, dns, buckets, compute, network, lifetime } = plan;
  const prefix = Number(network.cidr.split("/")[1]);
  const { probe } = edge;
  const largestNode = CACHE_NODES.find(({ type }) => type === cache?.nodeType);
  const largestClass = DATABASE_CLASSES.find(({ type }) => type === database?.instanceClass);
  return [
    ["network.cidr", prefix, VPC_PREFIX.widest, VPC_PREFIX.narrowest],
    ["keys.recoveryDays", lifetime.keyRecoveryDays, RECOVERY_DAYS.min, RECOVERY_DAYS.max],
    ["buckets.lock", buckets.chatLogs.objectLockDays, 0, MAX_LOCK_DAYS],
    ["edge.idle", edge.idleSeconds, LIMITS.idleSeconds.min, LIMITS.idleSeconds.max],
    ["edge.drain", edge.drainSeconds, LIMITS.drainSeconds.min, LIMITS.drainSeconds.max],
    [
      "edge.probe",
      probe.intervalSeconds,
      LIMITS.probeIntervalSeconds.min,
      LIMITS.probeIntervalSeconds.max,
    ],
    // AWS also wants the answer before the next probe.
    [
      "edge.timeout",
      probe.timeoutSeconds,
      LIMITS.probeTimeoutSeconds.min,
      Math.min(LIMITS.probeTimeoutSeconds.max, probe.intervalSeconds - 1),
    ],
    ["edge.healthy", probe.healthyAfter, LIMITS.probeThreshold.min, LIMITS.probeThreshold.max],
    ["edge.unhealthy", probe.unhealthyAfter, LIMITS.probeThreshold.min, LIMITS.probeThreshold.max],
    ["edge.names", edge.names.length, 0, LIMITS.certificateNames],
    ["edge.closedPaths", edge.closedPaths.length, 1, 2 * LIMITS.ruleValues],
    ["edge.zones", edge.front === "alb" ? edge.zones : LIMITS.zones, LIMITS.zones, 3],
    ...(dns ? [["dns.name", dns.domain.length, 1, NAME_MAX] as const] : []),
    ...(edge.waf
      ? [
          ["waf.capacity", edge.waf.capacity, 1, WAF.capacity] as const,
          ...edge.waf.rules.flatMap((rule) =>
            rule.kind === "rate"
              ? [["waf.rate", rule.limit, WAF.rateLimit.min, WAF.rateLimit.max] as const]
              : [],
          ),
        ]
      : []),
    ...(cache && largestNode
      ? [
          ["cache.replicas", cache.replicas, 0, MAX_REPLICAS] as const,
          ["cache.snapshots", cache.snapshotDays, 0, MAX_SNAPSHOT_DAYS] as const,
          ["cache.data", cache.dataMiB, 0, cache.shards * usableMiB(largestNode)] as const,
        ]
      : []),
    ...(database && largestClass
      ? [
          ["database.connections", database.connections, 1, connectionsOf(largestClass)] as const,
          ["database.class", connectionsOf(largestClass), 1, MAX_CONNECTIONS] as const,
          ["database.storage", database.storageGiB, STORAGE_GIB.min, STORAGE_GIB.max] as const,
          [
            "database.maxStorage",
            database.maxStorageGiB,
            database.storageGiB,
            STORAGE_GIB.max,
          ] as const,
          ["database.backups", database.backupDays, 0, MAX_BACKUP_DAYS] as const,
        ]
      : []),
    ...(compute.kind === "ec2"
      ? [
          ["hosts.root", compute.hosts.rootGiB, ROOT_MIN_GIB, VOLUME_MAX_GIB] as const,
          ["hosts.state", compute.hosts.stateGiB, STATE_MIN_GIB, VOLUME_MAX_GIB] as const,
        ]
      : compute.nodes.pools.flatMap((pool): Bound[] => [
          ["nodes.disk", pool.diskGiB, 1, VOLUME_MAX_GIB],
          ...(pool.pool === "gateways"
            ? [["nodes.grace", pool.graceMinutes, GRACE_MINUTES_MIN, 24 * 60] as const]
            : []),
        ])),
  ];
}

test("no plan goes beyond a limit that a catalog names", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(stacks, (settings) => {
      const plan = planIfPossible(settings);
      fc.pre(plan !== null);
      for (const [what, value, least, most] of bounds(plan as AwsPlan)) {
        seen.add(what);
        expect(value, what).toBeGreaterThanOrEqual(least);
        expect(value, what).toBeLessThanOrEqual(most);
      }
    }),
    { numRuns: 300 },
  );
  // Each kind of limit was really met.
  expect([...seen].filter((what) => /^(cache|database|hosts|nodes|waf)\./.test(what)).length).toBe(
    14,
  );
});

test("what pairs are listed for is what is planned", () => {
  fc.assert(
    fc.property(stacks, (settings) => {
      const plan = planIfPossible(settings);
      fc.pre(plan !== null);
      const { database, compute, edge } = plan as AwsPlan;
      if (database?.proxy) {
        expect(PROXY_PAIRS.pairs.map(({ major }) => major)).toContain(database.version);
      }
      if (compute.kind === "eks") {
        expect(KARPENTER.kubernetes).toContain(compute.cluster.version);
        const pool = compute.nodes.pools.find(({ pool }) => pool === "gateways");
        const cores = compute.nodes.gateways.count * compute.nodes.gateways.machine.cores;
        expect(Number(pool?.limits.cpu)).toBeGreaterThan(cores);
      }
      if (edge.domain !== null) {
        expect(edge.domain.length).toBeLessThanOrEqual(LIMITS.certificateNameLength);
      }
    }),
    { numRuns: 100 },
  );
});
