import type { EndpointService } from "../../components/network/catalog.ts";
import type { NatMode } from "../../components/network/settings.ts";
import type { PresetName, RedisMode } from "../preset-table.ts";

export type AwsTarget = "ec2" | "eks";

/** How clients reach a fleet on AWS. */
export type Front =
  /** An Application Load Balancer. */
  | "alb"
  /** One fixed address at the only host; nothing takes over when it is lost. */
  | "address"
  /** Nginx on every host behind health-checked DNS records. */
  | "dns";

/**
 * What a preset makes on a target, before settings: one row of components × presets × targets. Code
 * reads the fields and never branches on a preset's name.
 */
export interface AwsShape {
  readonly zones: 2 | 3;
  /** Way out of private subnets; `none`: what needs the internet has a public address of its own. */
  readonly natGateways: NatMode;
  /** Hosts in public subnets, with nothing inbound but the front. */
  readonly publicHosts: boolean;
  readonly interfaceEndpoints: readonly EndpointService[];
  readonly flowLogs: boolean;
  readonly front: Front;
  readonly waf: boolean;
  readonly cache: RedisMode;
  /** Postgres: the knowledge base of the agents (pgvector). */
  readonly database: boolean;
  readonly databaseMultiAz: boolean;
  /** EFS: skills and knowledge files that all nodes read. */
  readonly files: boolean;
  readonly gpu: boolean;
  readonly monitoring: boolean;
  /** The loss of a whole zone leaves room for every shard. */
  readonly survivesZone: boolean;
}

/** Services that private nodes talk to all the time; each endpoint costs by the hour and zone. */
const ENDPOINTS: readonly EndpointService[] = [
  "ecr.api",
  "ecr.dkr",
  "logs",
  "secretsmanager",
  "sts",
];

const SOLO = {
  zones: 2,
  interfaceEndpoints: [],
  flowLogs: false,
  waf: false,
  cache: "none",
  database: false,
  databaseMultiAz: false,
  files: false,
  gpu: false,
  survivesZone: false,
} as const;
const SMALL = { ...SOLO, zones: 3, flowLogs: true, cache: "single" } as const;
const MEDIUM = {
  ...SMALL,
  waf: true,
  cache: "sentinel",
  database: true,
  databaseMultiAz: true,
  files: true,
  survivesZone: true,
} as const;
const ENTERPRISE = { ...MEDIUM, cache: "cluster", interfaceEndpoints: ENDPOINTS } as const;

const BARE = { natGateways: "none", publicHosts: true, monitoring: false } as const;
const NAT_ONE = { natGateways: "one", publicHosts: false, monitoring: true } as const;
const NAT_ZONES = { natGateways: "per_zone", publicHosts: false, monitoring: true } as const;

export const AWS_SHAPES: Readonly<Record<AwsTarget, Readonly<Record<PresetName, AwsShape>>>> = {
  ec2: {
    solo: { ...SOLO, ...BARE, front: "address" },
    small: { ...SMALL, ...BARE, front: "dns" },
    medium: { ...MEDIUM, ...NAT_ZONES, monitoring: false, front: "alb" },
    enterprise: { ...ENTERPRISE, ...NAT_ZONES, monitoring: false, front: "alb" },
  },
  eks: {
    solo: { ...SOLO, ...NAT_ONE, front: "alb" },
    small: { ...SMALL, ...NAT_ONE, front: "alb" },
    medium: { ...MEDIUM, ...NAT_ZONES, front: "alb" },
    enterprise: { ...ENTERPRISE, ...NAT_ZONES, front: "alb" },
  },
};
