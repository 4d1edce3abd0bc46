import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { AwsContext } from "../context.ts";
import { type Clients, storeGroup } from "../store-access.ts";
import { DATABASE_NAME, DATABASE_PORT, DATABASE_USER, POSTGRES } from "./catalog.ts";
import { type DatabasePlan, growthLimit } from "./plan.ts";
import { DatabaseProxy } from "./proxy.ts";

export interface DatabaseArgs {
  readonly context: AwsContext;
  /** Size and shape, from `planDatabase`. */
  readonly plan: DatabasePlan;
  readonly vpcId: pulumi.Input<string>;
  /** Isolated subnets, one a zone, two at least. */
  readonly dataSubnetIds: pulumi.Input<pulumi.Input<string>[]>;
  /** KMS key of disk, backups and password. A change replaces the database. */
  readonly keyArn: pulumi.Input<string>;
  /** KMS key of log groups. @default CloudWatch's own */
  readonly logsKeyArn?: pulumi.Input<string>;
  /** Who may connect; everybody else is refused. */
  readonly clientSecurityGroupIds: Clients;
}

/** Logs that PostgreSQL writes on RDS. */
const LOGS = ["postgresql", "upgrade"] as const;

/**
 * PostgreSQL for what agents know (pgvector needs no parameter: `CREATE EXTENSION vector` is run by its
 * first user, within the network). Encrypted, TLS only, its master password made and rotated by RDS in
 * Secrets Manager and never in the state. Changes are applied at once, so that what `up` reports is so.
 */
export class Database extends pulumi.ComponentResource {
  /** Name of the instance; stays the same through a failover. */
  readonly host: pulumi.Output<string>;
  readonly port: number;
  readonly databaseName: string;
  /** Secret with `username` and `password` as JSON, as RDS writes it. */
  readonly secretArn: pulumi.Output<string>;
  /** Group of the instance, and of the proxy where there is one: clients are let in to these. */
  readonly securityGroupId: pulumi.Output<string>;
  /** Name of the proxy; undefined where the plan has none. */
  readonly proxyHost: pulumi.Output<string> | undefined;
  readonly proxySecurityGroupId: pulumi.Output<string> | undefined;

  constructor(name: string, args: DatabaseArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:data:Database", name, {}, opts);
    const { context, plan, keyArn } = args;
    const { lifetime } = context;
    const child = { parent: this };
    const tags = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });

    const subnets = new aws.rds.SubnetGroup(
      `${name}-subnets`,
      {
        description: `Isolated subnets of ${context.fleet}`,
        subnetIds: args.dataSubnetIds,
        tags: tags("subnets"),
      },
      child,
    );
    const group = storeGroup(
      `${name}-access`,
      {
        vpcId: args.vpcId,
        description: `PostgreSQL of ${context.fleet}`,
        port: DATABASE_PORT,
        clients: args.clientSecurityGroupIds,
        tags: context.tags,
      },
      child,
    );
    const parameters = new aws.rds.ParameterGroup(
      `${name}-parameters`,
      {
        family: plan.family,
        description: `PostgreSQL of ${context.fleet}`,
        parameters: [{ name: "rds.force_ssl", value: "1", applyMethod: "pending-reboot" }],
        tags: tags("parameters"),
      },
      child,
    );
    // RDS would make them without an end, and leave them behind.
    const logs = LOGS.map(
      (log) =>
        new aws.cloudwatch.LogGroup(
          `${name}-log-${log}`,
          {
            name: `/aws/rds/instance/${name}/${log}`,
            retentionInDays: lifetime.logDays,
            kmsKeyId: args.logsKeyArn,
            tags: tags(`log-${log}`),
          },
          child,
        ),
    );
    const instance = new aws.rds.Instance(
      `${name}-postgres`,
      {
        identifier: name, // names the log groups, which are made before; begins with the fleet
        engine: POSTGRES.engine,
        engineVersion: plan.version,
        autoMinorVersionUpgrade: true,
        allowMajorVersionUpgrade: false,
        // When a major version ends AWS upgrades it, instead of charging for its extended support.
        engineLifecycleSupport: "open-source-rds-extended-support-disabled",
        applyImmediately: true,
        instanceClass: plan.instanceClass,
        multiAz: plan.multiAz,
        storageType: "gp3",
        allocatedStorage: plan.storageGiB,
        maxAllocatedStorage: growthLimit(plan),
        storageEncrypted: true,
        kmsKeyId: keyArn,
        dbName: DATABASE_NAME,
        port: DATABASE_PORT,
        username: DATABASE_USER,
        manageMasterUserPassword: true,
        masterUserSecretKmsKeyId: keyArn,
        dbSubnetGroupName: subnets.name,
        vpcSecurityGroupIds: [group.id],
        publiclyAccessible: false,
        parameterGroupName: parameters.name,
        databaseInsightsMode: "standard",
        enabledCloudwatchLogsExports: [...LOGS],
        backupRetentionPeriod: plan.backupDays,
        ...(plan.backupDays > 0 ? { backupWindow: "02:00-03:00" } : {}),
        deleteAutomatedBackups: lifetime.forceDestroy,
        copyTagsToSnapshot: true,
        maintenanceWindow: "sun:03:30-sun:04:30",
        deletionProtection: lifetime.deletionProtection,
        ...this.ending(name, args, child),
        tags: tags("postgres"),
      },
      {
        ...child,
        protect: lifetime.protect,
        dependsOn: logs,
        deleteBeforeReplace: true, // its name is fixed
      },
    );
    this.host = instance.address;
    this.port = DATABASE_PORT;
    this.databaseName = DATABASE_NAME;
    this.secretArn = instance.masterUserSecrets.apply(secretOf);
    this.securityGroupId = group.id;

    const proxy = plan.proxy
      ? new DatabaseProxy(
          `${name}-proxy`,
          {
            context,
            vpcId: args.vpcId,
            dataSubnetIds: args.dataSubnetIds,
            keyArn,
            logsKeyArn: args.logsKeyArn,
            clients: args.clientSecurityGroupIds,
            secretArn: this.secretArn,
            instanceIdentifier: instance.identifier,
            instanceSecurityGroupId: group.id,
          },
          child,
        )
      : undefined;
    this.proxyHost = proxy?.host;
    this.proxySecurityGroupId = proxy?.securityGroupId;
    this.registerOutputs({
      host: this.host,
      port: this.port,
      databaseName: this.databaseName,
      secretArn: this.secretArn,
      securityGroupId: this.securityGroupId,
      proxyHost: this.proxyHost,
      proxySecurityGroupId: this.proxySecurityGroupId,
    });
  }

  /**
   * What is left when the instance goes. The last snapshot's name is new for every attempt: it changes
   * when deletion protection does, which comes before each deletion, and with what replaces the instance.
   */
  private ending(
    name: string,
    { context: { lifetime }, plan, keyArn }: DatabaseArgs,
    child: pulumi.CustomResourceOptions,
  ): Pick<aws.rds.InstanceArgs, "skipFinalSnapshot" | "finalSnapshotIdentifier"> {
    if (!lifetime.finalSnapshot) return { skipFinalSnapshot: true };
    const attempt = new random.RandomId(
      `${name}-last-snapshot`,
      {
        byteLength: 4,
        keepers: {
          deletionProtection: String(lifetime.deletionProtection),
          version: plan.version,
          keyArn,
        },
      },
      child,
    );
    return {
      skipFinalSnapshot: false,
      finalSnapshotIdentifier: pulumi.interpolate`${name}-last-${attempt.hex}`,
    };
  }
}

function secretOf(secrets: readonly { secretArn: string }[] | undefined): string {
  const arn = secrets?.[0]?.secretArn;
  if (!arn) {
    throw new Error(
      "RDS made the database without a secret for its master password; run refresh, and up again",
    );
  }
  return arn;
}
