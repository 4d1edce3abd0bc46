import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { HostsEc2Args } from "./index.ts";

export interface HostRole {
  readonly role: aws.iam.Role;
  readonly profile: aws.iam.InstanceProfile;
  /** A host that starts before them starts without its rights. */
  readonly policies: readonly pulumi.Resource[];
}

/** What a host may do: be managed, read and write this fleet's replicas. Secrets are brought to it. */
export function hostRole(name: string, args: HostsEc2Args, parent: pulumi.Resource): HostRole {
  const { context, replicas } = args;
  const named = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });
  const role = new aws.iam.Role(
    `${name}-role`,
    {
      description: `Hosts of the fleet ${context.fleet}`,
      path: context.rolePath ?? "/",
      ...(context.permissionsBoundaryArn
        ? { permissionsBoundary: context.permissionsBoundaryArn }
        : {}),
      assumeRolePolicy: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Action: "sts:AssumeRole",
            Principal: { Service: "ec2.amazonaws.com" },
          },
        ],
      }),
      tags: named("role"),
    },
    { parent },
  );
  const allow = (what: string, statements: readonly object[]) =>
    new aws.iam.RolePolicy(
      `${name}-may-${what}`,
      {
        role: role.name,
        policy: pulumi.jsonStringify({
          Version: "2012-10-17",
          Statement: statements.map((statement) => ({ Effect: "Allow", ...statement })),
        }),
      },
      { parent },
    );
  const policies = [
    // No resource can be named for these. They are what a session to the host needs, and no more.
    allow("be-managed", [
      {
        Action: [
          "ssm:UpdateInstanceInformation",
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ],
        Resource: "*",
      },
    ]),
    // All of the fleet's prefix: a survivor must read the shards of a lost node.
    allow("keep-replicas", [
      {
        Action: "s3:ListBucket",
        Resource: replicas.bucketArn,
        Condition: { StringLike: { "s3:prefix": `${context.fleet}/*` } },
      },
      {
        Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
        Resource: pulumi.interpolate`${replicas.bucketArn}/${context.fleet}/*`,
      },
      throughS3(context.region, replicas.keyArn),
    ]),
  ];
  const profile = new aws.iam.InstanceProfile(
    `${name}-profile`,
    { role: role.name, path: context.rolePath ?? "/", tags: named("profile") },
    { parent },
  );
  return { role, profile, policies };
}

/** The key may be used through S3 only. Partitions differ in what follows `.com`. */
function throughS3(region: string, keyArn: pulumi.Input<string>) {
  return {
    Action: ["kms:Decrypt", "kms:GenerateDataKey"],
    Resource: keyArn,
    Condition: { StringLike: { "kms:ViaService": `s3.${region}.amazonaws.com*` } },
  };
}
