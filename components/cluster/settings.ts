import { z } from "zod";
import {
  ADDONS,
  ARCHITECTURES,
  DEFAULT_SERVICE_CIDR,
  DEFAULT_VERSION,
  LOG_TYPES,
  OPERATING_SYSTEMS,
  SYSTEM_TYPES,
  type SystemTypeName,
  VERSION_NAMES,
} from "./catalog.ts";

const SYSTEM_TYPE_NAMES = SYSTEM_TYPES.map(({ type }) => type) as [
  SystemTypeName,
  ...SystemTypeName[],
];

const access = z.union([
  z.literal("private"),
  z.strictObject({
    allowlist: z
      .array(z.string())
      .describe("IPv4 CIDRs that may reach the API from the internet, e.g. 203.0.113.7/32."),
  }),
]);

const systemNodes = z.strictObject({
  instanceType: z
    .enum(SYSTEM_TYPE_NAMES)
    .optional()
    .describe(
      "EC2 type of the system nodes; the cheapest that holds their pods with one node away when left out. A change makes new nodes before the old ones go.",
    ),
  diskGiB: z.int().min(20).optional().describe("Disk of a system node, GiB; 30 when left out."),
});

const adopt = z.strictObject({
  name: z
    .string()
    .regex(/^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$/, "the name of an EKS cluster")
    .describe("Name of an EKS cluster that exists in this account and region."),
  addons: z
    .array(z.enum(ADDONS))
    .default([])
    .describe(
      "Addons to install in it at this project's versions. None when left out: it brings its own.",
    ),
  accessEntries: z
    .boolean()
    .default(false)
    .describe("Give cluster.admins access to it; otherwise they must have it already."),
});

/** `cluster` in a stack's settings (target eks). */
export const clusterSettings = z.strictObject({
  access: access
    .optional()
    .describe(
      "Who reaches the Kubernetes API: an allowlist of CIDRs, or private (from inside the VPC, or through fleet tunnel). Must be set; a change restarts nothing.",
    ),
  admins: z
    .array(z.string())
    .default([])
    .describe(
      "ARNs of IAM roles and users with full rights in the cluster. Who deploys must be among them.",
    ),
  version: z
    .enum(VERSION_NAMES)
    .default(DEFAULT_VERSION)
    .describe(
      "Minor version of Kubernetes. Raised one minor at a time; nodes are replaced one at a time, the cluster never.",
    ),
  os: z
    .enum(OPERATING_SYSTEMS)
    .default("al2023")
    .describe("System of the nodes. A change replaces nodes."),
  architecture: z
    .enum(ARCHITECTURES)
    .default("arm64")
    .describe(
      "Processors of system nodes and gateways; arm64 is Graviton. A change replaces nodes.",
    ),
  systemNodes: systemNodes
    .default({})
    .describe("Nodes of the cluster's own pods; fleets run on Karpenter's."),
  logs: z
    .array(z.enum(LOG_TYPES))
    .default(["api", "audit", "authenticator"])
    .describe("Logs of the control plane that are kept in CloudWatch."),
  serviceCidr: z
    .string()
    .default(DEFAULT_SERVICE_CIDR)
    .describe(
      "Range of Kubernetes services, /12 to /24, outside the VPC. A change replaces the cluster.",
    ),
  adopt: adopt
    .optional()
    .describe("Use an EKS cluster that exists. Nothing of it is changed but what is said here."),
});

export type ClusterSettings = z.output<typeof clusterSettings>;
