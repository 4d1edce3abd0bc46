import { HOURS_A_MONTH, pricesOf, type Tier } from "../cost.ts";
import { ConfigError, type Fault } from "../errors.ts";
import type { NodeLoad } from "../kubelet.ts";
import type { Admin } from "./admins.ts";
import {
  ADDONS_AFTER_NODES,
  ADDONS_BEFORE_NODES,
  type AddonName,
  AMI_TYPES,
  BOTTLEROCKET_ALIAS,
  CLUSTER_PRICES,
  DISKS,
  LINES,
  LOG_GB,
  type LogType,
  SYSTEM_DISK_GIB,
  VERSIONS,
  type VersionName,
} from "./catalog.ts";
import { checkAccess, checkAdmins, checkServices, checkUpgrade } from "./checks.ts";
import type { ClusterSettings } from "./settings.ts";
import { planSystemNodes, type SystemNodes } from "./system-plan.ts";

/** What a cluster's plan is made of. */
export interface ClusterNeed {
  /** The stack's name. */
  readonly fleet: string;
  readonly settings: ClusterSettings;
  /** Zones of the private subnets. */
  readonly zones: number;
  /** The VPC's range; services must lie outside of it. Left out for an adopted VPC whose range is not known. */
  readonly vpcCidr?: string;
  /** Minor that runs now, as AWS or the state says; left out for a new cluster. */
  readonly deployedVersion?: string;
  /** What `aws sts get-caller-identity` says of who deploys; left out where nobody asked. */
  readonly callerArn?: string;
  /** Requests of further pods on the system nodes: platform, monitoring. */
  readonly systemPods?: NodeLoad;
}

export interface AddonPlan {
  readonly name: AddonName;
  readonly version: string;
  /** Before the system nodes, which need it to be ready, or after them, because it needs nodes. */
  readonly when: "before-nodes" | "after-nodes";
}

export interface Disk {
  readonly device: string;
  readonly sizeGiB: number;
}

/** What preflight asks of the account. */
export interface QuotaNeed {
  readonly service: string;
  readonly code: string;
  readonly name: string;
  readonly need: number;
}

export interface ClusterPlan {
  /** Physical name: log group and IAM conditions must know it before there is a cluster. */
  readonly clusterName: string;
  /** True: the cluster exists and is not ours. */
  readonly adopted: boolean;
  readonly version: VersionName;
  readonly addons: readonly AddonPlan[];
  /** Ranges that reach the API from the internet; empty: only from inside. */
  readonly publicCidrs: readonly string[];
  /** Who gets an access entry from us. */
  readonly admins: readonly Admin[];
  readonly logTypes: readonly LogType[];
  readonly serviceCidr: string;
  readonly amiType: string;
  /** Release of the system nodes' image; null: EKS's newest at creation. */
  readonly releaseVersion: string | null;
  /** The same image for Karpenter. */
  readonly amiAlias: string;
  readonly os: ClusterSettings["os"];
  readonly architecture: ClusterSettings["architecture"];
  readonly zonalShift: boolean;
  /** Null for an adopted cluster. */
  readonly systemNodes: (SystemNodes & { readonly disks: readonly Disk[] }) | null;
  readonly quotas: readonly QuotaNeed[];
  readonly notes: readonly string[];
}

/** Longest name of an EKS cluster. Source: docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html. */
const CLUSTER_NAME_MAX = 100;

/** Makes a cluster of settings. Pure. Throws ConfigError with everything that cannot be. */
export function planCluster(need: ClusterNeed): ClusterPlan {
  const { settings, zones } = need;
  const faults: Fault[] = [];
  const adopt = settings.adopt;
  const publicCidrs = checkAccess(settings, faults);
  const admins = checkAdmins(settings, need.callerArn, faults);
  checkUpgrade(need.deployedVersion, settings.version, faults);
  if (!adopt) checkServices(settings.serviceCidr, need.vpcCidr, faults);
  if (zones < 2 && !adopt) {
    faults.push({
      setting: "network.zones",
      problem: `is ${zones}, and EKS needs subnets in two zones`,
      remedy: "Set it to 2 or 3",
    });
  }
  const clusterName = adopt?.name ?? `${need.fleet}-cluster`;
  if (clusterName.length > CLUSTER_NAME_MAX) {
    faults.push({
      setting: "",
      problem: `the cluster's name ${clusterName} is longer than ${CLUSTER_NAME_MAX} characters`,
      remedy: "Choose a shorter stack name",
    });
  }
  const systemNodes = adopt ? null : planSystemNodes(settings, zones, need.systemPods, faults);
  if (faults.length > 0) throw new ConfigError(faults);

  const version = VERSIONS[settings.version];
  const bottlerocket = settings.os === "bottlerocket";
  const wanted = (name: AddonName) => !adopt || adopt.addons.includes(name);
  return {
    clusterName,
    adopted: adopt !== undefined,
    version: settings.version,
    addons: [
      ...ADDONS_BEFORE_NODES.map((name) => ({ name, when: "before-nodes" as const })),
      ...ADDONS_AFTER_NODES.map((name) => ({ name, when: "after-nodes" as const })),
    ]
      .filter(({ name }) => wanted(name))
      .map(({ name, when }) => ({ name, version: version.addons[name], when })),
    publicCidrs,
    admins: adopt && !adopt.accessEntries ? [] : admins,
    logTypes: [...new Set(settings.logs)].sort(),
    serviceCidr: settings.serviceCidr,
    amiType: AMI_TYPES[settings.os][settings.architecture],
    releaseVersion: bottlerocket ? null : version.al2023Release,
    amiAlias: bottlerocket ? BOTTLEROCKET_ALIAS : version.al2023Alias,
    os: settings.os,
    architecture: settings.architecture,
    zonalShift: !adopt && zones > 1,
    systemNodes: systemNodes && {
      ...systemNodes,
      disks: Object.entries(DISKS[settings.os]).map(([device, sizeGiB]) => ({
        device,
        sizeGiB: sizeGiB ?? settings.systemNodes.diskGiB ?? SYSTEM_DISK_GIB,
      })),
    },
    quotas: systemNodes
      ? [
          { service: "eks", code: "L-1194D53C", name: "EKS clusters", need: 1 },
          {
            service: "ec2",
            code: "L-1216C47A",
            name: "vCPUs of running on-demand standard instances",
            // One more while nodes are replaced.
            need: (systemNodes.count + 1) * systemNodes.cores,
          },
        ]
      : [],
    notes: notesOf(settings, version.standardUntil),
  };
}

/** Rows of `fleet plan`. Costs are empty where the region has no prices. */
export function tierCluster(plan: ClusterPlan, region: string): Tier[] {
  if (plan.adopted || !plan.systemNodes) {
    return [
      {
        tier: "cluster",
        size: `EKS cluster ${plan.clusterName}, adopted`,
        count: 1,
        why: "cluster.adopt names it; its own cost is not in this plan",
        survives: "as it was built",
        costs: [],
      },
    ];
  }
  const prices = pricesOf(CLUSTER_PRICES, region);
  const { type, count, disks, why } = plan.systemNodes;
  const logGb = plan.logTypes.reduce((sum, log) => sum + LOG_GB[log], 0);
  return [
    {
      tier: "cluster",
      size: `EKS ${plan.version}`,
      count: 1,
      why: "one control plane a fleet",
      survives: "the loss of a zone: EKS runs its API and etcd in three",
      costs: prices
        ? [
            {
              what: LINES.controlPlane,
              quantity: HOURS_A_MONTH,
              unit: "h",
              priceUsd: prices.controlPlaneHour,
            },
            { what: LINES.logs, quantity: logGb, unit: "GB", priceUsd: prices.logsIngestGb },
          ]
        : [],
    },
    {
      tier: "system nodes",
      size: type,
      count,
      why,
      survives: "the loss of one node: the others hold its pods",
      costs: prices
        ? [
            {
              what: LINES.nodes,
              quantity: count * HOURS_A_MONTH,
              unit: "h",
              priceUsd: prices[type],
            },
            {
              what: LINES.disks,
              quantity: count * disks.reduce((sum, { sizeGiB }) => sum + sizeGiB, 0),
              unit: "GB-month",
              priceUsd: prices.gp3GbMonth,
            },
          ]
        : [],
    },
  ];
}

function notesOf(settings: ClusterSettings, standardUntil: string | null): string[] {
  const notes: string[] = [];
  if (standardUntil) {
    notes.push(
      `Kubernetes ${settings.version} has standard support until ${standardUntil}; AWS then upgrades the cluster by itself (supportType STANDARD)`,
    );
  } else {
    notes.push(`the end of standard support of Kubernetes ${settings.version} was not verified`);
  }
  if (settings.access === "private") {
    notes.push(
      "the Kubernetes API is private: deploy from inside the VPC, or through fleet tunnel",
    );
  }
  if (settings.os === "bottlerocket") {
    notes.push(
      "system nodes take EKS's newest Bottlerocket at creation: its releases have no name to pin",
    );
  }
  return notes;
}
