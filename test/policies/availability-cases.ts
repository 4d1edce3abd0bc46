import * as rules from "../../policies/availability.ts";
import { TYPE } from "../../policies/resources.ts";
import type { ResourceCase, StackCase } from "./cases.ts";
import { budgetOf, routers } from "./runtime.ts";
import { changed, later, stackOf, UNKNOWN_TEXT, withValue } from "./support.ts";

export const ec2 = () => stackOf("ec2", "medium");

export const eks = () => stackOf("eks", "medium");

export const CAPACITY_TYPE = "spec.template.spec.requirements.2";

/** Cases of single resources. */
export const RESOURCES: readonly ResourceCase[] = [
  {
    policy: rules.enoughNodes,
    made: later(ec2, TYPE.plan),
    breaks: [
      ["nodes", 1, "the number of nodes is 1"],
      ["zones", 1, "the number of zones is 1"],
    ],
    unknown: [["nodes", "refused"]],
  },
  {
    policy: rules.thirdNode,
    made: later(ec2, TYPE.plan),
    breaks: [["nodes", 2, "while one is lost or updated the other serves alone"]],
    unknown: [["nodes", "refused"]],
  },
  {
    policy: rules.storeCopies,
    of: "the database",
    made: later(ec2, TYPE.database),
    breaks: [["multiAz", false, "multiAz is false"]],
    unknown: [["multiAz", "refused"]],
  },
  {
    policy: rules.storeCopies,
    of: "the cache",
    made: later(ec2, TYPE.cache),
    breaks: [
      ["automaticFailoverEnabled", false, "automaticFailoverEnabled is false"],
      ["multiAzEnabled", undefined, "multiAzEnabled is not set"],
    ],
    unknown: [["multiAzEnabled", "refused"]],
  },
  {
    policy: rules.backups,
    of: "the database",
    made: later(ec2, TYPE.database),
    breaks: [
      ["backupRetentionPeriod", 6, "backupRetentionPeriod is 6"],
      ["backupRetentionPeriod", undefined, "backupRetentionPeriod is not set"],
      ["skipFinalSnapshot", true, "skipFinalSnapshot is true"],
    ],
    unknown: [
      ["backupRetentionPeriod", "refused"],
      ["finalSnapshotIdentifier", "passes"],
    ],
  },
  {
    policy: rules.backups,
    of: "the cache",
    made: later(ec2, TYPE.cache),
    breaks: [["snapshotRetentionLimit", 0, "snapshotRetentionLimit is 0"]],
    unknown: [["snapshotRetentionLimit", "refused"]],
  },
  {
    policy: rules.backups,
    of: "files",
    made: later(ec2, "aws:efs/backupPolicy:BackupPolicy"),
    breaks: [["backupPolicy.status", "DISABLED", "backupPolicy.status is DISABLED"]],
    unknown: [["backupPolicy.status", "refused"]],
  },
  {
    policy: rules.backups,
    of: "buckets",
    made: later(ec2, "aws:s3/bucketVersioning:BucketVersioning"),
    breaks: [["versioningConfiguration.status", "Suspended", "is Suspended"]],
    unknown: [["versioningConfiguration.status", "refused"]],
  },
  ...(
    [
      [TYPE.database, "deletionProtection", ec2],
      [TYPE.cluster, "deletionProtection", eks],
      ["aws:lb/loadBalancer:LoadBalancer", "enableDeletionProtection", ec2],
    ] as const
  ).map(([type, flag, stack]) => ({
    policy: rules.deletionProtection,
    of: type,
    made: later(stack, type),
    breaks: [[flag, false, `${flag} is false`]] as const,
    unknown: [[flag, "refused"]] as const,
  })),
  {
    policy: rules.onDemand,
    of: "the gateways' pool",
    made: later(eks, TYPE.nodePool, "gateways"),
    breaks: [
      [`${CAPACITY_TYPE}.values`, ["spot", "on-demand"], "capacity-type is spot"],
      ["spec.template.spec.requirements", [], "no requirement for karpenter.sh/capacity-type"],
    ],
    unknown: [[`${CAPACITY_TYPE}.values`, "refused"]],
  },
  {
    policy: rules.onDemand,
    of: "system nodes",
    made: later(eks, TYPE.nodeGroup),
    breaks: [["capacityType", "SPOT", "capacityType is SPOT"]],
    unknown: [["capacityType", "refused"]],
  },
  {
    policy: rules.onDemand,
    of: "a host",
    made: later(ec2, TYPE.instance),
    breaks: [["instanceMarketOptions", { marketType: "spot" }, "marketType is spot"]],
    unknown: [["instanceMarketOptions", "refused"]],
  },
  {
    policy: rules.supportType,
    of: "the cluster",
    made: later(eks, TYPE.cluster),
    breaks: [
      ["upgradePolicy.supportType", "EXTENDED", "supportType is EXTENDED"],
      ["upgradePolicy", undefined, "supportType is not set"],
    ],
    unknown: [["upgradePolicy.supportType", "refused"]],
  },
  {
    policy: rules.supportType,
    of: "the database",
    made: later(ec2, TYPE.database),
    breaks: [["engineLifecycleSupport", "open-source-rds-extended-support", "is open-source"]],
    unknown: [["engineLifecycleSupport", "refused"]],
  },
];

export const withRouters = async (preview: boolean) => [
  ...(await stackOf("eks", "medium", {}, preview)),
  routers(),
  budgetOf("fleet"),
];

/** Cases of whole stacks. */
export const STACKS: readonly StackCase[] = [
  {
    policy: rules.routerBudgets,
    made: () => withRouters(false),
    previewed: () => withRouters(true),
    breaks: [
      {
        what: "routers without a budget",
        change: (made) =>
          changed(
            made,
            (r) => r.type.endsWith(":PodDisruptionBudget"),
            () => null,
          ),
        found: "no PodDisruptionBudget matches its pods",
        at: "team-routers",
      },
      {
        what: "a budget in another namespace",
        change: (made) =>
          changed(
            made,
            (r) => r.type.endsWith(":PodDisruptionBudget"),
            () => budgetOf("elsewhere"),
          ),
        found: "no PodDisruptionBudget",
      },
      {
        what: "a budget whose labels are not known",
        change: (made) =>
          changed(
            made,
            (r) => r.type.endsWith(":PodDisruptionBudget"),
            (r) => withValue(r, "spec.selector.matchLabels", UNKNOWN_TEXT),
          ),
        found: "no PodDisruptionBudget",
      },
    ],
  },
];
