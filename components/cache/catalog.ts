import type { PricedBy, PriceTable } from "../cost.ts";

/** Engine of every cache. Checked 2026-11-21: docs.aws.amazon.com/AmazonElastiCache/latest/dg/engine-versions.html. */
export const VALKEY = {
  engine: "valkey",
  /** Major and minor, as the provider takes it (`^[7-9]\.\d+$`). A lower one replaces the group. */
  version: "9.0",
  /** Parameter group family of the major version. */
  family: "valkey9",
} as const;

/** Port of every node. */
export const CACHE_PORT = 6379;

/** A node type. */
export interface CacheNode {
  readonly type: string;
  /** `maxmemory` of the type, MiB. */
  readonly memoryMiB: number;
  /** Earns CPU credits: its processor is not there all the time. */
  readonly burstable: boolean;
}

/**
 * Graviton nodes, small to large. Memory: node-type specific parameters, `maxmemory`, in
 * docs.aws.amazon.com/AmazonElastiCache/latest/dg/ParameterGroups.Engine.html, read 2026-11-21.
 */
export const CACHE_NODES: readonly CacheNode[] = [
  { type: "cache.t4g.micro", memoryMiB: 512, burstable: true },
  { type: "cache.t4g.small", memoryMiB: 1402, burstable: true },
  { type: "cache.t4g.medium", memoryMiB: 3164, burstable: true },
  { type: "cache.m7g.large", memoryMiB: 6537, burstable: false },
  { type: "cache.r7g.large", memoryMiB: 13_387, burstable: false },
  { type: "cache.r7g.xlarge", memoryMiB: 26_952, burstable: false },
  { type: "cache.r7g.2xlarge", memoryMiB: 54_084, burstable: false },
  { type: "cache.r7g.4xlarge", memoryMiB: 108_346, burstable: false },
];

/**
 * Memory that ElastiCache keeps from the data for snapshots and failovers, percent of `maxmemory`.
 * Source: docs.aws.amazon.com/AmazonElastiCache/latest/dg/redis-memory-management.html (default).
 */
export const RESERVED_PERCENT = 25;

/** Replicas of a shard that AWS allows without a quota request. Source: terraform-provider-aws, replication_group. */
export const MAX_REPLICAS = 5;

/** Days of snapshots that AWS allows. Source: terraform-provider-aws, `snapshot_retention_limit` ≤ 35. */
export const MAX_SNAPSHOT_DAYS = 35;

/** Longest id of a user, user group or replication group. Source: CreateReplicationGroup, 40 characters. */
export const CACHE_ID_MAX = 40;

/** How a mode is built, and from which node type on. */
export interface CacheShape {
  readonly shards: number;
  /** Copies of each shard beside its primary; `zones`: one for each further zone. */
  readonly replicas: number | "zones";
  /** Smallest node type of the mode. */
  readonly smallest: string;
}

export type CacheMode = "single" | "sentinel" | "cluster";

/** The modes that presets name. Nodes of a cluster work all the time, so credits would run out. */
export const CACHE_SHAPES: Readonly<Record<CacheMode, CacheShape>> = {
  single: { shards: 1, replicas: 0, smallest: "cache.t4g.micro" },
  sentinel: { shards: 1, replicas: "zones", smallest: "cache.t4g.small" },
  cluster: { shards: 3, replicas: 2, smallest: "cache.m7g.large" },
};

export type CachePrice =
  | "cache.t4g.micro"
  | "cache.t4g.small"
  | "cache.t4g.medium"
  | "cache.m7g.large"
  | "cache.r7g.large"
  | "cache.r7g.xlarge"
  | "cache.r7g.2xlarge"
  | "cache.r7g.4xlarge"
  | "backupGbMonth"
  | "secretMonth";

/** Node types by the hour, on demand, for Valkey (a fifth below Redis OSS); backups by the GB-month; secrets by the month. */
export const CACHE_PRICES: PriceTable<CachePrice> = {
  date: "2026-11-21",
  source:
    "aws.amazon.com/elasticache/pricing, aws.amazon.com/secrets-manager/pricing; from memory, to be checked",
  regions: {
    "us-east-1": {
      "cache.t4g.micro": 0.0128,
      "cache.t4g.small": 0.0256,
      "cache.t4g.medium": 0.052,
      "cache.m7g.large": 0.1264,
      "cache.r7g.large": 0.1752,
      "cache.r7g.xlarge": 0.3496,
      "cache.r7g.2xlarge": 0.6992,
      "cache.r7g.4xlarge": 1.3984,
      backupGbMonth: 0.085,
      secretMonth: 0.4,
    },
    "eu-central-1": {
      "cache.t4g.micro": 0.0152,
      "cache.t4g.small": 0.0304,
      "cache.t4g.medium": 0.0608,
      "cache.m7g.large": 0.1512,
      "cache.r7g.large": 0.2096,
      "cache.r7g.xlarge": 0.4184,
      "cache.r7g.2xlarge": 0.8368,
      "cache.r7g.4xlarge": 1.6736,
      backupGbMonth: 0.085,
      secretMonth: 0.4,
    },
    "eu-west-1": {
      "cache.t4g.micro": 0.0136,
      "cache.t4g.small": 0.028,
      "cache.t4g.medium": 0.0576,
      "cache.m7g.large": 0.1392,
      "cache.r7g.large": 0.1944,
      "cache.r7g.xlarge": 0.3888,
      "cache.r7g.2xlarge": 0.7776,
      "cache.r7g.4xlarge": 1.5552,
      backupGbMonth: 0.085,
      secretMonth: 0.4,
    },
  },
};

/** Names of the tier's cost lines. */
export const CACHE_LINES = {
  nodes: "cache node hours",
  backups: "cache snapshots beyond the free one",
  secret: "cache secret",
} as const;

/** How every type of resource that the component makes is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:elasticache/replicationGroup:ReplicationGroup": {
    lines: [CACHE_LINES.nodes, CACHE_LINES.backups],
  },
  "aws:elasticache/subnetGroup:SubnetGroup": { free: "AWS does not charge for it" },
  "aws:elasticache/parameterGroup:ParameterGroup": { free: "AWS does not charge for it" },
  "aws:elasticache/user:User": { free: "AWS does not charge for it" },
  "aws:elasticache/userGroup:UserGroup": { free: "AWS does not charge for it" },
  "aws:ec2/securityGroup:SecurityGroup": { free: "AWS does not charge for it" },
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
    free: "AWS does not charge for it",
  },
  "aws:secretsmanager/secret:Secret": { lines: [CACHE_LINES.secret] },
  "aws:secretsmanager/secretVersion:SecretVersion": { free: "paid for with its secret" },
  "random:index/randomPassword:RandomPassword": { free: "made by Pulumi, kept in its state" },
};
