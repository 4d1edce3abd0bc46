import { nodeDir } from "../../../plugin/files.ts";

/** Inputs of a resource as the state has them. */
export type Inputs = Readonly<Record<string, unknown>>;

/** Where a provider of AWS works, as its inputs in the state say. */
export interface AwsPlace {
  readonly region: string;
  /** Twelve digits. */
  readonly accountId: string;
  /** The role that it takes on. */
  readonly assumeRoleArn?: string;
}

/** An id as it is imported by; undefined where an input that it needs is missing. */
type IdOf = (inputs: Inputs, place: AwsPlace | undefined) => string | undefined;

const given = (value: unknown): value is string => typeof value === "string" && value !== "";

/** The value of an input, or of several joined as the provider joins them. */
const joined =
  (separator: string, ...keys: readonly string[]): IdOf =>
  (inputs) => {
    const values = keys.map((key) => inputs[key]);
    return values.every(given) ? values.join(separator) : undefined;
  };
const of = (...keys: readonly string[]): IdOf => joined(":", ...keys);

const partition = (region: string): string => {
  if (region.startsWith("cn-")) return "aws-cn";
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
};

const policyArn: IdOf = ({ name, path }, place) =>
  given(name) && place
    ? `arn:${partition(place.region)}:iam::${place.accountId}:policy${given(path) ? path : "/"}${name}`
    : undefined;

const queueUrl: IdOf = ({ name }, place) => {
  if (!given(name) || !place) return undefined;
  const suffix = place.region.startsWith("cn-") ? "com.cn" : "com";
  return `https://sqs.${place.region}.amazonaws.${suffix}/${place.accountId}/${name}`;
};

const recordId: IdOf = ({ zoneId, name, type, setIdentifier }) =>
  [zoneId, name, type].every(given)
    ? [zoneId, name, type, ...(given(setIdentifier) ? [setIdentifier] : [])].join("_")
    : undefined;

const proxyTarget: IdOf = ({ dbProxyName, targetGroupName, dbInstanceIdentifier }) =>
  [dbProxyName, targetGroupName, dbInstanceIdentifier].every(given)
    ? `${dbProxyName}/${targetGroupName}/RDS_INSTANCE/${dbInstanceIdentifier}`
    : undefined;

/** How the provider of AWS makes an id out of what it is given. Source: "Import" of each resource's page. */
const AWS: Readonly<Record<string, IdOf>> = {
  "budgets/budget:Budget": ({ name }, place) =>
    given(name) && place ? `${place.accountId}:${name}` : undefined,
  "cloudwatch/eventRule:EventRule": of("name"),
  "cloudwatch/eventTarget:EventTarget": joined("/", "rule", "targetId"),
  "cloudwatch/logGroup:LogGroup": of("name"),
  "cloudwatch/metricAlarm:MetricAlarm": of("name"),
  "ec2/route:Route": joined("_", "routeTableId", "destinationCidrBlock"),
  "ec2/routeTableAssociation:RouteTableAssociation": joined("/", "subnetId", "routeTableId"),
  "ec2/volumeAttachment:VolumeAttachment": of("deviceName", "volumeId", "instanceId"),
  "efs/backupPolicy:BackupPolicy": of("fileSystemId"),
  "efs/fileSystemPolicy:FileSystemPolicy": of("fileSystemId"),
  "eks/accessEntry:AccessEntry": of("clusterName", "principalArn"),
  "eks/accessPolicyAssociation:AccessPolicyAssociation": joined(
    "#",
    "clusterName",
    "principalArn",
    "policyArn",
  ),
  "eks/addon:Addon": of("clusterName", "addonName"),
  "eks/cluster:Cluster": of("name"),
  "eks/nodeGroup:NodeGroup": of("clusterName", "nodeGroupName"),
  "elasticache/parameterGroup:ParameterGroup": of("name"),
  "elasticache/replicationGroup:ReplicationGroup": of("replicationGroupId"),
  "elasticache/subnetGroup:SubnetGroup": of("name"),
  "elasticache/user:User": of("userId"),
  "elasticache/userGroup:UserGroup": of("userGroupId"),
  "iam/instanceProfile:InstanceProfile": of("name"),
  "iam/policy:Policy": policyArn,
  "iam/role:Role": of("name"),
  "iam/rolePolicy:RolePolicy": of("role", "name"),
  "iam/rolePolicyAttachment:RolePolicyAttachment": joined("/", "role", "policyArn"),
  "kms/alias:Alias": of("name"),
  "rds/instance:Instance": of("identifier"),
  "rds/parameterGroup:ParameterGroup": of("name"),
  "rds/proxy:Proxy": of("name"),
  "rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": of("dbProxyName"),
  "rds/proxyTarget:ProxyTarget": proxyTarget,
  "rds/subnetGroup:SubnetGroup": of("name"),
  "route53/record:Record": recordId,
  "sqs/queue:Queue": queueUrl,
  "sqs/queuePolicy:QueuePolicy": of("queueUrl"),
  "wafv2/webAclAssociation:WebAclAssociation": joined(",", "webAclArn", "resourceArn"),
};

/** Ids that this project's own provider gives. */
const OWN: Readonly<Record<string, IdOf>> = {
  "openclaw:local:Fleet": of("dataDir"),
  "openclaw:local:Node": ({ dataDir, node }) =>
    given(dataDir) && given(node) ? nodeDir(dataDir, node) : undefined,
  "openclaw:host:Artifact": ({ needs, host }) => {
    const [fleet, name] = [(needs as Inputs)?.fleet, (host as Inputs)?.name];
    return given(fleet) && given(name) ? `${fleet}/${name}` : undefined;
  },
  "openclaw:host:Release": joined("/", "fleet", "node"),
};

const inCluster: IdOf = (inputs) => {
  const { name, namespace } = (inputs.metadata ?? inputs) as Inputs;
  if (!given(name)) return undefined;
  return given(namespace) ? `${namespace}/${name}` : name;
};

/**
 * What is nothing by itself: it holds two others together, waits, or is a value in the state. It ends with
 * what it belongs to, and making it again does no harm.
 */
const PARTS: readonly RegExp[] = [
  /^aws:acm\/certificateValidation:/,
  /^aws:ec2\/eipAssociation:/,
  /^aws:ec2\/subnetCidrReservation:/,
  /^aws:lb\/targetGroupAttachment:/,
  /^aws:secretsmanager\/secretVersion:/,
  /^openclaw:host:(Credentials|Drained|Fleet)$/,
  /^openclaw:kube:Gone$/,
  /^random:/,
];

/** Whether it ends with another resource, so that nobody has to look for it. */
export const isPart = (type: string): boolean => PARTS.some((part) => part.test(type));

/**
 * The id under which a resource is in the cloud if it was made, where it is known before: most names are
 * given by us. A wrong guess does no harm: what a refresh does not find leaves the state again.
 */
export function knownId(type: string, inputs: Inputs, place?: AwsPlace): string | undefined {
  if (type.startsWith("kubernetes:")) return inCluster(inputs, undefined);
  if (OWN[type]) return OWN[type](inputs, undefined);
  // Everything that is set on a bucket goes by the bucket's name.
  if (/^aws:s3\/bucket\w*:/.test(type)) return of("bucket")(inputs, undefined);
  return type.startsWith("aws:") ? AWS[type.slice("aws:".length)]?.(inputs, place) : undefined;
}
