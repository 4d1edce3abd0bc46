import type { Step } from "./steps.ts";

/** What a change does to the people who use a fleet, the worst first. */
export const EFFECTS = ["data", "restarts", "reach", "none"] as const;
export type Effect = (typeof EFFECTS)[number];

/** Headings of the groups. */
export const EFFECT_TITLES: Readonly<Record<Effect, string>> = {
  data: "Replaces or deletes data",
  restarts: "Restarts what serves",
  reach: "Changes how clients get in",
  none: "No effect on users",
};

/**
 * Types that hold what people said or what it can be read with. Made anew they are empty: only a
 * backup brings back what was in them.
 */
const HOLDS_DATA: ReadonlySet<string> = new Set([
  "aws:ebs/volume:Volume",
  "aws:efs/fileSystem:FileSystem",
  "aws:elasticache/replicationGroup:ReplicationGroup",
  "aws:kms/key:Key",
  "aws:rds/cluster:Cluster",
  "aws:rds/instance:Instance",
  "aws:s3/bucket:Bucket",
  "aws:secretsmanager/secret:Secret",
  "kubernetes:core/v1:Namespace",
  "kubernetes:core/v1:PersistentVolumeClaim",
  "openclaw:local:Fleet",
]);

/** Properties whose change in place stops and starts what serves; `*`: any of them. */
const RESTARTS: Readonly<Record<string, readonly string[]>> = {
  "aws:ec2/instance:Instance": [
    ...["ami", "cpuOptions", "hibernation", "instanceType", "launchTemplate", "placementGroup"],
    ...["userData", "userDataBase64"],
  ],
  "aws:eks/cluster:Cluster": ["version"],
  "aws:eks/nodeGroup:NodeGroup": ["instanceTypes", "launchTemplate", "releaseVersion", "version"],
  "aws:elasticache/replicationGroup:ReplicationGroup": [
    ...["engine", "engineVersion", "nodeType", "parameterGroupName", "transitEncryptionEnabled"],
  ],
  "aws:rds/instance:Instance": [
    ...["caCertIdentifier", "engineVersion", "instanceClass", "parameterGroupName"],
  ],
  "kubernetes:apps/v1:DaemonSet": ["spec"],
  "kubernetes:apps/v1:Deployment": ["spec"],
  "kubernetes:apps/v1:StatefulSet": ["spec"],
  "openclaw:local:Node": ["*"],
  "openclaw:host:Artifact": [],
  "openclaw:host:Drained": ["machine"],
  "openclaw:host:Release": ["*"],
};

/** What these are made anew or taken away, what runs on them stops. */
const SERVES: ReadonlySet<string> = new Set([
  ...Object.keys(RESTARTS),
  "aws:ec2/launchTemplate:LaunchTemplate",
  "aws:ec2/networkInterface:NetworkInterface",
  "aws:ec2/volumeAttachment:VolumeAttachment",
  "aws:ec2/vpc:Vpc",
  "aws:ec2/subnet:Subnet",
  "aws:iam/instanceProfile:InstanceProfile",
  "aws:iam/role:Role",
]);

/** What stands between clients and nodes. */
const WAY_IN =
  /^aws:(acm|globalaccelerator|lb|route53|wafv2)\/|^aws:ec2\/(eip|eipAssociation|securityGroup|securityGroupIngressRule|vpcSecurityGroupIngressRule|routeTable|internetGateway):|^aws:vpc\/securityGroupIngressRule:|^kubernetes:(networking\.k8s\.io|gateway\.networking)/;

/** Properties of what holds the settings that clients notice. */
const REACHES: Readonly<Record<string, readonly string[]>> = {
  "openclaw:local:Fleet": ["host", "port", "tokens", "trustedProxies"],
};

/** Tags and words for people. */
const COSMETIC: readonly string[] = ["description", "tags", "tagsAll", "volumeTags"];

const TAKES_AWAY: readonly string[] = ["delete", "replace", "discard", "discard-replaced"];

/** What one change does to users. */
export function effectOf({ op, type, changed }: Step): Effect {
  if (op === "create" || op === "import" || op === "create-component") return "none";
  if (TAKES_AWAY.includes(op)) {
    if (HOLDS_DATA.has(type)) return "data";
    if (SERVES.has(type)) return "restarts";
    return WAY_IN.test(type) ? "reach" : "none";
  }
  if (changed.length > 0 && changed.every((property) => COSMETIC.includes(property))) return "none";
  if (changed.some((property) => REACHES[type]?.includes(property))) return "reach";
  const restarting = RESTARTS[type];
  if (restarting !== undefined && restarting.length > 0) {
    // Where Pulumi does not say what differs, the worse is assumed.
    const any = restarting.includes("*") || changed.length === 0;
    if (any || changed.some((property) => restarting.includes(property))) return "restarts";
    return "none";
  }
  return WAY_IN.test(type) ? "reach" : "none";
}

/** Changes by what they do; every group is there. */
export function groupByEffect(steps: readonly Step[]): Record<Effect, Step[]> {
  const groups: Record<Effect, Step[]> = { data: [], restarts: [], reach: [], none: [] };
  for (const step of steps) groups[effectOf(step)].push(step);
  return groups;
}
