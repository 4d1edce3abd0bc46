/** Inputs of a resource as the state has them. */
type Inputs = Readonly<Record<string, unknown>>;

/** The value of an input, or of several joined as the provider joins them. */
const of =
  (...keys: readonly string[]) =>
  (inputs: Inputs): string | undefined => {
    const values = keys.map((key) => inputs[key]);
    return values.every((value) => typeof value === "string" && value !== "")
      ? values.join(":")
      : undefined;
  };

/** How the provider of AWS makes an id out of what it is given. Source: "Import" of each resource's page. */
const IDS: Readonly<Record<string, (inputs: Inputs) => string | undefined>> = {
  "aws:cloudwatch/logGroup:LogGroup": of("name"),
  "aws:cloudwatch/metricAlarm:MetricAlarm": of("name"),
  "aws:eks/accessEntry:AccessEntry": of("clusterName", "principalArn"),
  "aws:eks/addon:Addon": of("clusterName", "addonName"),
  "aws:eks/cluster:Cluster": of("name"),
  "aws:eks/nodeGroup:NodeGroup": of("clusterName", "nodeGroupName"),
  "aws:elasticache/parameterGroup:ParameterGroup": of("name"),
  "aws:elasticache/replicationGroup:ReplicationGroup": of("replicationGroupId"),
  "aws:elasticache/subnetGroup:SubnetGroup": of("name"),
  "aws:elasticache/user:User": of("userId"),
  "aws:elasticache/userGroup:UserGroup": of("userGroupId"),
  "aws:iam/instanceProfile:InstanceProfile": of("name"),
  "aws:iam/role:Role": of("name"),
  "aws:iam/rolePolicy:RolePolicy": of("role", "name"),
  "aws:kms/alias:Alias": of("name"),
  "aws:rds/instance:Instance": of("identifier"),
  "aws:rds/parameterGroup:ParameterGroup": of("name"),
  "aws:rds/subnetGroup:SubnetGroup": of("name"),
};

/**
 * The id under which a resource is in the cloud if it was made, where it is known before: most names are
 * given by us. A wrong guess does no harm: what a refresh does not find leaves the state again.
 */
export function knownId(type: string, inputs: Inputs): string | undefined {
  // Everything that is set on a bucket goes by the bucket's name.
  if (/^aws:s3\/bucket\w*:/.test(type)) return of("bucket")(inputs);
  return IDS[type]?.(inputs);
}
