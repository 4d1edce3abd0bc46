import type { AwsContext } from "../../components/context.ts";
import { LIFETIMES } from "../../components/lifetime.ts";
import type { Recording } from "../support/pulumi-mocks.ts";

const CONTEXT: AwsContext = {
  fleet: "prod",
  region: "eu-central-1",
  accountId: "123456789012",
  zones: [
    { name: "eu-central-1a", id: "euc1-az2" },
    { name: "eu-central-1b", id: "euc1-az3" },
    { name: "eu-central-1c", id: "euc1-az1" },
  ],
  partition: "aws",
  lifetime: LIFETIMES.prod,
  tags: { fleet: "prod", owner: "team" },
  permissionsBoundaryArn: "arn:aws:iam::123456789012:policy/boundary",
  rolePath: "/fleets/",
};

/** An environment that keeps its data. */
export const KEPT: AwsContext = CONTEXT;
/** An environment of which nothing stays. */
export const EPHEMERAL: AwsContext = { ...CONTEXT, lifetime: LIFETIMES.staging };

/** What stores in a network are told. */
export const PLACE = {
  vpcId: "vpc-0a1",
  dataSubnetIds: ["subnet-0a", "subnet-0b", "subnet-0c"],
  keyArn: "arn:aws:kms:eu-central-1:123456789012:key/data",
  clientSecurityGroupIds: { nodes: "sg-0nodes" },
};

export const GROUP = "aws:ec2/securityGroup:SecurityGroup";
export const INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
export const EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule";

/** Types of resources, the component itself left out. */
export function types(recording: Recording<unknown>): string[] {
  return [...new Set(recording.resources.map((r) => r.type))]
    .filter((type) => !type.startsWith("openclaw-fleet:"))
    .sort();
}

/** Everything that a recording registered, as text: for what must not be anywhere. */
export const written = (recording: Recording<unknown>): string =>
  JSON.stringify(recording.resources.map((r) => r.inputs));

/** Resources whose type takes tags. */
export function untagged(recording: Recording<unknown>, tagless: readonly string[]): string[] {
  return recording.resources
    .filter((r) => r.type.startsWith("aws:") && !tagless.includes(r.type))
    .filter((r) => r.inputs.tags?.owner !== "team" || !r.inputs.tags?.Name)
    .map((r) => r.urn);
}
