import { planCaddy } from "../../components/caddy/plan.ts";
import { etcdEndpoints, etcdMembers, planEtcd } from "../../components/etcd/plan.ts";
import { mergeParts } from "../../components/host/merge.ts";
import {
  HOST_PATHS,
  HOST_PORTS,
  type HostContext,
  type HostFacts,
  type HostPart,
  type HostPaths,
  type HostPlan,
} from "../../components/host/types.ts";
import { planNginx } from "../../components/nginx/plan.ts";
import { planNode } from "../../components/node/plan.ts";
import { planNodeExporter, planPrometheus } from "../../components/prometheus/plan.ts";
import { redisLayout } from "../../components/redis/layout.ts";
import { planRedis, redisAddresses, redisUrl } from "../../components/redis/plan.ts";
import { bucketReplication, planBucketAccess } from "../../components/replica-target/bucket.ts";
import { planReplicaTarget, replicationOf } from "../../components/replica-target/plan.ts";
import type { MonitoringSettings } from "../../components/watch/settings.ts";
import type { FleetConfig } from "../../gateway/config.ts";
import type { FleetPlan } from "../presets.ts";
import type { Settings } from "../settings.ts";
import { frontNeed } from "./front-need.ts";
import type { HostsPlan } from "./plan.ts";
import { artifactOf, type ReleaseOnHosts } from "./releases.ts";

/** What the plan of each host is made from, the same for all of them. No secret is in it. */
export interface HostsInput {
  /** The stack's name; it names the fleet. */
  readonly fleet: string;
  readonly plan: HostsPlan;
  readonly sizing: FleetPlan;
  /** What fleet.json says, with marks where secrets come. */
  readonly config: FleetConfig;
  /** `openclaw-fleet:monitoring`, with marks. */
  readonly monitoring: MonitoringSettings;
  /** `openclaw-fleet:replication`, with marks: where to, how much is sent, and what is kept. */
  readonly replication: Settings["replication"];
  /** `maxmemory` of each Redis server, MiB; missing: as its plan says. */
  readonly redisMemoryMiB?: number | undefined;
  /** Most memory of a node with its gateways, MiB; missing: no limit. */
  readonly memoryMaxMiB?: number | undefined;
  /** Address of somebody's own Redis, a mark; missing: the fleet's. */
  readonly ownRedis?: string | undefined;
  readonly release: ReleaseOnHosts;
  /** What machines of a cloud have beside them; missing: nothing. */
  readonly cloud?: CloudParts | undefined;
}

/** What a cloud does for hosts that they would else do for each other. */
export interface CloudParts {
  /** S3 bucket of the replicas, and its region; the machines' own role lets them in. */
  readonly replicas: { readonly bucket: string; readonly region: string };
  /** Its balancer calls the routers by plain HTTP. */
  readonly balancer: boolean;
}

/** Everything that one host is to be. Pure. */
export function planHost(input: HostsInput, self: HostFacts): HostPlan {
  const { plan } = input;
  const bucket = input.replication.s3;
  const context: HostContext = {
    fleet: input.fleet,
    self,
    hosts: plan.hosts,
    paths: pathsOf(input, self.name),
    ports: HOST_PORTS,
  };
  const parts: HostPart[] = [];
  if (!self.witness) parts.push(node(context, input));
  if (plan.several) {
    parts.push(planEtcd(context, { members: etcdMembers(plan.hosts) }));
    if (!self.witness && !input.cloud && !bucket) parts.push(planReplicaTarget(context));
  }
  if (bucket && !self.witness) parts.push(planBucketAccess(context, bucket));
  if (plan.redis)
    parts.push(planRedis(context, { mode: plan.redis, memoryMiB: input.redisMemoryMiB }));
  if (plan.front) {
    const planIt = plan.frontKind === "caddy" ? planCaddy : planNginx;
    parts.push(planIt(context, plan.front));
  }
  if (plan.watching) {
    parts.push(planNodeExporter(context));
    if (plan.watching === self.name) parts.push(watcher(context, input));
  }
  return mergeParts(parts);
}

/** Where things lie on a host. */
export function pathsOf({ release }: Pick<HostsInput, "release">, host: string): HostPaths {
  const { releases, data, etc, tls } = HOST_PATHS;
  return { release: `${releases}/${artifactOf(release, host)}`, data, etc, tls };
}

function node(context: HostContext, input: HostsInput): HostPart {
  const { plan, sizing, config } = input;
  const url = input.ownRedis ?? (plan.redis ? redisUrl(context, plan.redis) : undefined);
  return planNode(context, {
    releaseId: input.release.name,
    cores: sizing.node.cores,
    fleet: config,
    etcdEndpoints: plan.several
      ? etcdEndpoints(context, { members: etcdMembers(plan.hosts) })
      : null,
    replication: replication(context, input),
    behindBalancer: input.cloud?.balancer ?? false,
    memoryMaxMiB: input.memoryMaxMiB,
    redisUrl: url,
    redisAddresses: plan.redis && !input.ownRedis ? redisAddresses(context, plan.redis) : undefined,
    discovery: plan.discovery ? { kind: "dns", name: plan.discovery } : undefined,
  });
}

/** Where replicas go, and what the settings say of them: nothing that was left out is written. */
function replication(context: HostContext, { fleet, cloud, replication: wished }: HostsInput) {
  const { bytesPerSecond, keep, s3 } = wished;
  const planned = cloud
    ? { target: { kind: "s3" as const, prefix: `${fleet}/`, ...cloud.replicas } }
    : s3
      ? bucketReplication(context, s3)
      : replicationOf(context);
  if (!planned) return undefined;
  return {
    ...planned,
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(keep === undefined ? {} : { keep }),
  };
}

function watcher(context: HostContext, input: HostsInput): HostPart {
  const { plan, sizing, monitoring } = input;
  const { front } = plan;
  return planPrometheus(context, {
    settings: monitoring,
    shards: sizing.shards.map(({ id, recycleMiB }) => ({ id, recycleMiB })),
    replicated: plan.several || input.cloud !== undefined || input.replication.s3 !== undefined,
    etcd: plan.several ? etcdMembers(plan.hosts) : [],
    redis: plan.redis
      ? redisLayout(context.hosts, context.ports, plan.redis).servers.map(({ host, port }) => ({
          host: host.name,
          port,
        }))
      : [],
    front: front && frontNeed(front),
  });
}
