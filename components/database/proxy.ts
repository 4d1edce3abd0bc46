import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { admit, type Clients, storeGroup } from "../store-access.ts";
import { DATABASE_PORT } from "./catalog.ts";

export interface DatabaseProxyArgs {
  readonly context: AwsContext;
  readonly vpcId: pulumi.Input<string>;
  readonly dataSubnetIds: pulumi.Input<pulumi.Input<string>[]>;
  /** KMS key of the secret. */
  readonly keyArn: pulumi.Input<string>;
  readonly logsKeyArn?: pulumi.Input<string>;
  readonly clients: Clients;
  /** Secret with the database's user and password. */
  readonly secretArn: pulumi.Input<string>;
  readonly instanceIdentifier: pulumi.Input<string>;
  readonly instanceSecurityGroupId: pulumi.Input<string>;
}

/** RDS Proxy before a PostgreSQL instance, TLS only. Clients that connect directly go on doing so. */
export class DatabaseProxy extends pulumi.ComponentResource {
  /** Name that clients connect to; known once a connection to the instance can be had. */
  readonly host: pulumi.Output<string>;
  readonly securityGroupId: pulumi.Output<string>;

  constructor(name: string, args: DatabaseProxyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:data:DatabaseProxy", name, {}, opts);
    const { context } = args;
    const child = { parent: this };
    const tags = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });

    const group = storeGroup(
      `${name}-access`,
      {
        vpcId: args.vpcId,
        description: `RDS Proxy of ${context.fleet}`,
        port: DATABASE_PORT,
        clients: args.clients,
        tags: context.tags,
      },
      child,
    );
    const out = new aws.vpc.SecurityGroupEgressRule(
      `${name}-to-instance`,
      {
        securityGroupId: group.id,
        referencedSecurityGroupId: args.instanceSecurityGroupId,
        ipProtocol: "tcp",
        fromPort: DATABASE_PORT,
        toPort: DATABASE_PORT,
        description: "To the instance",
        tags: tags("to-instance"),
      },
      child,
    );
    const into = admit(
      `${name}-instance`,
      {
        securityGroupId: args.instanceSecurityGroupId,
        port: DATABASE_PORT,
        clients: { proxy: group.id },
        tags: context.tags,
      },
      child,
    );
    const role = new aws.iam.Role(
      `${name}-role`,
      {
        description: `Lets RDS Proxy of ${context.fleet} read the database's password`,
        assumeRolePolicy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            {
              Effect: "Allow",
              Principal: { Service: "rds.amazonaws.com" },
              Action: "sts:AssumeRole",
            },
          ],
        }),
        permissionsBoundary: context.permissionsBoundaryArn,
        path: context.rolePath ?? "/",
        tags: tags("role"),
      },
      child,
    );
    const policy = new aws.iam.RolePolicy(
      `${name}-policy`,
      {
        role: role.id,
        policy: pulumi.jsonStringify({
          Version: "2012-10-17",
          Statement: [
            {
              Effect: "Allow",
              Action: "secretsmanager:GetSecretValue",
              Resource: args.secretArn,
            },
            {
              Effect: "Allow",
              Action: "kms:Decrypt",
              Resource: args.keyArn,
              Condition: {
                StringLike: { "kms:ViaService": `secretsmanager.${context.region}.*` },
              },
            },
          ],
        }),
      },
      child,
    );
    const log = new aws.cloudwatch.LogGroup(
      `${name}-log`,
      {
        name: `/aws/rds/proxy/${name}`, // RDS would make it without an end, and leave it behind
        retentionInDays: context.lifetime.logDays,
        kmsKeyId: args.logsKeyArn,
        tags: tags("log"),
      },
      child,
    );
    const proxy = new aws.rds.Proxy(
      `${name}-proxy`,
      {
        name, // names the log group; begins with the fleet
        engineFamily: "POSTGRESQL",
        requireTls: true,
        roleArn: role.arn,
        vpcSubnetIds: args.dataSubnetIds,
        vpcSecurityGroupIds: [group.id],
        auths: [
          {
            authScheme: "SECRETS",
            clientPasswordAuthType: "POSTGRES_SCRAM_SHA_256",
            iamAuth: "DISABLED",
            secretArn: args.secretArn,
          },
        ],
        idleClientTimeout: 1800,
        tags: tags("proxy"),
      },
      { ...child, dependsOn: [policy, log], deleteBeforeReplace: true },
    );
    const targets = new aws.rds.ProxyDefaultTargetGroup(
      `${name}-targets`,
      {
        dbProxyName: proxy.name,
        connectionPoolConfig: {
          connectionBorrowTimeout: 30, // seconds; a client that waits longer is told so
          maxConnectionsPercent: 90, // the rest is for those who connect directly
          maxIdleConnectionsPercent: 45,
        },
      },
      child,
    );
    const target = new aws.rds.ProxyTarget(
      `${name}-target`,
      {
        dbProxyName: proxy.name,
        targetGroupName: targets.name,
        dbInstanceIdentifier: args.instanceIdentifier,
      },
      { ...child, dependsOn: [out, ...into] },
    );
    this.host = pulumi.all([proxy.endpoint, target.id]).apply(([endpoint]) => endpoint);
    this.securityGroupId = group.id;
    this.registerOutputs({ host: this.host, securityGroupId: this.securityGroupId });
  }
}
