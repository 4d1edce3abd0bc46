import { type ClusterPlan, planCluster, tierCluster } from "../../components/cluster/plan.ts";
import type { Tier } from "../../components/cost.ts";
import type { EdgePlan } from "../../components/edge/plan.ts";
import { HOST_PORTS } from "../../components/host/types.ts";
import { type HostsPlan, planHosts } from "../../components/hosts-ec2/plan.ts";
import { tierHosts } from "../../components/hosts-ec2/tier.ts";
import {
  type MonitoringPlan,
  planMonitoring,
  knowingCost as tellCost,
  tierMonitoring,
} from "../../components/monitoring/plan.ts";
import { DEFAULT_CIDR } from "../../components/network/catalog.ts";
import type { NetworkLoad } from "../../components/network/plan.ts";
import { type NodesPlan, planNodes, tierNodes } from "../../components/nodes/plan.ts";
import { type PlatformPlan, planPlatform, tierPlatform } from "../../components/platform/plan.ts";
import { sumLoad } from "../../components/system-pods.ts";
import { CAPACITY } from "../capacity.ts";
import type { FleetPlan } from "../presets.ts";
import type { AwsFacts } from "./facts.ts";
import type { AwsStackSettings } from "./plan.ts";
import type { AwsShape } from "./table.ts";

interface ComputeNeed {
  readonly settings: AwsStackSettings;
  readonly fleet: FleetPlan;
  readonly shape: AwsShape;
  readonly zones: number;
  readonly users: number;
  /** Undefined when it cannot be, which is told elsewhere. */
  readonly edge: EdgePlan | undefined;
  readonly facts: AwsFacts;
  /** The stack's name. */
  readonly name: string;
}

/** What other parts of the plan ask of compute, whichever kind it is. */
interface ComputeCommon {
  readonly publicHosts: number;
  readonly privateHosts: number;
  readonly pods?: NetworkLoad["pods"];
  /** Some machines are spot ones. */
  readonly spot: boolean;
  /** Types that must be offered in every zone. */
  readonly machines: readonly string[];
  readonly tiers: readonly Tier[];
  readonly notes: readonly string[];
}

export interface HostsComputePlan extends ComputeCommon {
  readonly kind: "ec2";
  readonly hosts: HostsPlan;
}

export interface ClusterComputePlan extends ComputeCommon {
  readonly kind: "eks";
  readonly cluster: ClusterPlan;
  readonly nodes: NodesPlan;
  readonly platform: PlatformPlan;
  /** Null: off. */
  readonly monitoring: MonitoringPlan | null;
}

/** Where the fleet's processes run. */
export type ComputePlan = HostsComputePlan | ClusterComputePlan;

/** The same plan, its dashboards told what the whole stack costs; null without prices. */
export function knowingCost(plan: ComputePlan, monthlyUsd: number | null): ComputePlan {
  if (plan.kind !== "eks" || plan.monitoring === null) return plan;
  return { ...plan, monitoring: tellCost(plan.monitoring, monthlyUsd) };
}

/** Plans hosts or a cluster. Throws ConfigError. */
export function planCompute(need: ComputeNeed): ComputePlan {
  return need.settings.target === "ec2" ? planEc2(need) : planEks(need);
}

function planEc2({ settings, fleet, shape, zones, edge, facts }: ComputeNeed): HostsComputePlan {
  const region = settings.aws?.region ?? "";
  const nat = settings.network.natGateways ?? shape.natGateways;
  const publicHosts = shape.publicHosts && nat === "none";
  const hosts = planHosts({
    nodes: fleet.nodes,
    node: fleet.node,
    shards: fleet.shards.length,
    shardDiskMiB: settings.sizes.shardDiskMiB ?? CAPACITY.shardDiskMiB.value,
    zones,
    loss: fleet.loss,
    publicHosts,
    addressed: edge?.addressOf.length ?? 0,
    port: HOST_PORTS.local,
    settings: settings.ec2,
    recorded: facts.recorded.hosts,
  });
  return {
    kind: "ec2",
    hosts,
    publicHosts: publicHosts ? fleet.nodes.length : 0,
    privateHosts: publicHosts ? 0 : fleet.nodes.length,
    spot: false,
    machines: [hosts.class.type],
    tiers: [tierHosts(hosts, region)],
    notes: hosts.notes,
  };
}

function planEks(need: ComputeNeed): ClusterComputePlan {
  const { settings, fleet, shape, zones, users, facts, name } = need;
  const region = settings.aws?.region ?? "";
  const { gpu } = settings;
  const platform = planPlatform({
    nodes: fleet.nodes.length,
    gpu: gpu ? settings.cluster.os : "none",
  });
  const monitoring =
    (settings.monitoring.enabled ?? shape.monitoring)
      ? planMonitoring({
          fleet: name,
          nodes: fleet.nodes,
          shards: fleet.shards,
          users,
          replicated: true,
          survivesZone: shape.survivesZone,
          settings: settings.monitoring,
        })
      : null;
  const cluster = planCluster({
    fleet: name,
    settings: settings.cluster,
    zones,
    vpcCidr: facts.adoptedNetwork?.cidr ?? settings.network.cidr ?? DEFAULT_CIDR,
    ...(facts.clusterVersion ? { deployedVersion: facts.clusterVersion } : {}),
    ...(facts.callerArn ? { callerArn: facts.callerArn } : {}),
    // Monitoring prefers nodes that nothing takes away, and is paid for where it is counted.
    systemPods: sumLoad([
      [1, platform.load],
      ...(monitoring ? [[1, monitoring.load] as const] : []),
    ]),
  });
  const shardDisk = settings.sizes.shardDiskMiB ?? CAPACITY.shardDiskMiB.value;
  const nodes = planNodes({
    fleet: name,
    karpenter: settings.karpenter,
    ...(gpu ? { gpu } : {}),
    cluster,
    gateways: {
      count: fleet.nodes.length,
      cores: fleet.node.cores,
      memoryMiB: fleet.node.memoryMiB,
      diskMiB: fleet.shards.length * shardDisk,
    },
    isolated: (settings.network.natGateways ?? shape.natGateways) === "none",
  });
  return {
    kind: "eks",
    cluster,
    nodes,
    platform,
    monitoring,
    publicHosts: 0,
    privateHosts: 0,
    pods: {
      nodes: (cluster.systemNodes?.count ?? 0) + fleet.nodes.length + WORKER_NODES,
      podsPerNode: PODS_PER_NODE,
    },
    machines: cluster.systemNodes ? [cluster.systemNodes.type] : [],
    spot: settings.karpenter.workers.spot || (gpu?.spot ?? false),
    tiers: [
      ...tierCluster(cluster, region),
      ...tierNodes(nodes, region),
      tierPlatform(platform),
      ...(monitoring ? [tierMonitoring(monitoring, region)] : []),
    ],
    notes: [...cluster.notes, ...nodes.notes, ...(monitoring?.notes ?? [])],
  };
}

/** Nodes that Karpenter adds for browsers and jobs at most, for the network's addresses. */
const WORKER_NODES = 10;
/** Pods of a node with prefix delegation, below 30 vCPUs.
 *  Source: github.com/aws/amazon-vpc-cni-k8s, docs/prefix-and-ip-target.md. */
const PODS_PER_NODE = 110;
