import type { PolicyResource } from "@pulumi/policy";
import { at, type Fields, read } from "./read.ts";

/** Types that several groups look at. */
export const TYPE = {
  bucket: "aws:s3/bucket:Bucket",
  bucketPolicy: "aws:s3/bucketPolicy:BucketPolicy",
  cache: "aws:elasticache/replicationGroup:ReplicationGroup",
  cluster: "aws:eks/cluster:Cluster",
  database: "aws:rds/instance:Instance",
  egress: "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
  files: "aws:efs/fileSystem:FileSystem",
  ingress: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
  instance: "aws:ec2/instance:Instance",
  launchTemplate: "aws:ec2/launchTemplate:LaunchTemplate",
  listener: "aws:lb/listener:Listener",
  listenerRule: "aws:lb/listenerRule:ListenerRule",
  nodeClass: "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass",
  nodeGroup: "aws:eks/nodeGroup:NodeGroup",
  nodePool: "kubernetes:karpenter.sh/v1:NodePool",
  plan: "openclaw-fleet:fleet:Plan",
  release: "kubernetes:helm.sh/v3:Release",
  role: "aws:iam/role:Role",
  rolePolicy: "aws:iam/rolePolicy:RolePolicy",
  securityGroup: "aws:ec2/securityGroup:SecurityGroup",
  subnet: "aws:ec2/subnet:Subnet",
} as const;

/** Component that alone may let the internet in. */
export const EDGE = "openclaw-fleet:fleet:Edge";

/** All of a type. */
export const allOf = (
  resources: readonly PolicyResource[],
  ...types: readonly string[]
): PolicyResource[] => resources.filter(({ type }) => types.includes(type));

/** Resources that a property came from; this holds before any of them has an id. */
export const from = (
  resource: PolicyResource,
  ...properties: readonly string[]
): PolicyResource[] =>
  properties.flatMap((property) => resource.propertyDependencies[property] ?? []);

/** Does a property of it come from that resource? */
export const pointsTo = (
  resource: PolicyResource,
  property: string,
  target: PolicyResource,
): boolean => from(resource, property).some(({ urn }) => urn === target.urn);

/** A Kubernetes object's name or namespace. */
export const meta = (fields: Fields, what: "name" | "namespace"): unknown =>
  at(fields, "metadata", what);

export const fieldsOf = (resource: Pick<PolicyResource, "props">): Fields => read(resource.props);
