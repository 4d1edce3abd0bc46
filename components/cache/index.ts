import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { REDIS_ACL } from "../../gateway/sessions/redis-layout.ts";
import type { AwsContext } from "../context.ts";
import { type Clients, storeGroup } from "../store-access.ts";
import { CACHE_PORT, VALKEY } from "./catalog.ts";
import type { CachePlan } from "./plan.ts";

export interface CacheArgs {
  readonly context: AwsContext;
  /** Size and shape, from `planCache`; a fleet whose plan is null constructs no cache. */
  readonly plan: CachePlan;
  readonly vpcId: pulumi.Input<string>;
  /** Isolated subnets, one a zone, in the order of `context.zones`. */
  readonly dataSubnetIds: pulumi.Input<pulumi.Input<string>[]>;
  /** KMS key of data and secret. A change replaces the store. */
  readonly keyArn: pulumi.Input<string>;
  /** Who may connect; everybody else is refused. */
  readonly clientSecurityGroupIds: Clients;
}

/** The user's name within Valkey. */
const USER = "runtime";

/** Everything but what can harm the server; clients of a cluster ask INFO, which Valkey counts among the dangerous. */
const ACCESS = `on ~* &* ${REDIS_ACL}`;

/**
 * Valkey for sessions, limits and stored answers: always a replication group, since AWS makes single
 * clusters only of older engines. Encrypted on disk and on the wire, reached by one user with a
 * password that nobody chose; the user `default` is shut out, as no group of users holds it.
 */
export class Cache extends pulumi.ComponentResource {
  /** `rediss://user:password@host:port`; a secret. */
  readonly url: pulumi.Output<string>;
  /** The one name for clients: the configuration endpoint in cluster mode, else the primary's. */
  readonly host: pulumi.Output<string>;
  readonly port: number;
  /** Clients speak the cluster protocol. */
  readonly clusterMode: boolean;
  /** Secret with `url`, `host`, `port`, `username`, `password`, `clusterMode` as JSON. */
  readonly secretArn: pulumi.Output<string>;
  readonly securityGroupId: pulumi.Output<string>;

  constructor(name: string, args: CacheArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:data:Cache", name, {}, opts);
    const { context, plan, keyArn } = args;
    const { lifetime } = context;
    const child = { parent: this };
    const tags = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });

    const subnets = new aws.elasticache.SubnetGroup(
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
        description: `Valkey of ${context.fleet}`,
        port: CACHE_PORT,
        clients: args.clientSecurityGroupIds,
        tags: context.tags,
      },
      child,
    );
    // One for each mode: a group in use does not change its mode.
    const parameters = new aws.elasticache.ParameterGroup(
      `${name}-parameters${plan.clusterMode ? "" : "-plain"}`,
      {
        family: plan.family,
        description: `Valkey of ${context.fleet}`,
        parameters: Object.entries(plan.parameters).map(([key, value]) => ({ name: key, value })),
        tags: tags("parameters"),
      },
      child,
    );

    const generated = new random.RandomPassword(
      `${name}-password`,
      { length: 48, special: false }, // goes into a URL
      { ...child, additionalSecretOutputs: ["result", "bcryptHash"] },
    );
    const password = pulumi.secret(generated.result);
    const user = new aws.elasticache.User(
      `${name}-user`,
      {
        userId: `${name}-${USER}`, // AWS wants it named; begins with the fleet
        userName: USER,
        engine: VALKEY.engine,
        accessString: ACCESS,
        authenticationMode: { type: "password", passwords: [password] },
        tags: tags("user"),
      },
      { ...child, additionalSecretOutputs: ["authenticationMode", "passwords"] },
    );
    const users = new aws.elasticache.UserGroup(
      `${name}-users`,
      {
        userGroupId: `${name}-users`,
        engine: VALKEY.engine,
        userIds: [user.userId],
        tags: tags("users"),
      },
      child,
    );

    const store = new aws.elasticache.ReplicationGroup(
      `${name}-valkey`,
      {
        description: `Sessions, limits and stored answers of ${context.fleet}`,
        engine: VALKEY.engine,
        engineVersion: plan.engineVersion,
        // An upgrade by AWS would make the version written here a downgrade, which replaces the store.
        autoMinorVersionUpgrade: false,
        applyImmediately: true, // what `up` reports is so
        nodeType: plan.nodeType,
        port: CACHE_PORT,
        parameterGroupName: parameters.name,
        ...(plan.clusterMode
          ? {
              clusterMode: "enabled",
              numNodeGroups: plan.shards,
              replicasPerNodeGroup: plan.replicas,
              automaticFailoverEnabled: true, // AWS demands it in cluster mode, replicas or not
            }
          : {
              clusterMode: "disabled",
              numCacheClusters: 1 + plan.replicas,
              automaticFailoverEnabled: plan.replicas > 0, // AWS refuses it without a replica
            }),
        multiAzEnabled: plan.multiAz,
        subnetGroupName: subnets.name,
        securityGroupIds: [group.id],
        atRestEncryptionEnabled: true,
        kmsKeyId: keyArn,
        transitEncryptionEnabled: true,
        transitEncryptionMode: "required",
        userGroupIds: [users.userGroupId],
        snapshotRetentionLimit: plan.snapshotDays,
        ...(plan.snapshotDays > 0 ? { snapshotWindow: "02:00-03:00" } : {}),
        maintenanceWindow: "sun:03:30-sun:04:30",
        tags: tags("valkey"),
      },
      {
        ...child,
        protect: lifetime.protect,
        // AWS does not take a store from one mode to the other in one step: it is made anew beside the old one.
        replaceOnChanges: ["clusterMode"],
      },
    );

    this.port = CACHE_PORT;
    this.clusterMode = plan.clusterMode;
    this.host = plan.clusterMode
      ? store.configurationEndpointAddress
      : store.primaryEndpointAddress;
    this.url = pulumi.secret(
      pulumi.interpolate`rediss://${USER}:${password}@${this.host}:${CACHE_PORT}`,
    );
    const secret = new aws.secretsmanager.Secret(
      `${name}-secret`,
      {
        description: `Access to the Valkey of ${context.fleet}`,
        kmsKeyId: keyArn,
        recoveryWindowInDays: lifetime.secretRecoveryDays,
        tags: tags("secret"),
      },
      child,
    );
    const version = new aws.secretsmanager.SecretVersion(
      `${name}-secret-value`,
      {
        secretId: secret.id,
        secretString: pulumi.secret(
          pulumi.jsonStringify({
            url: this.url,
            host: this.host,
            port: CACHE_PORT,
            username: USER,
            password,
            clusterMode: plan.clusterMode,
          }),
        ),
      },
      { ...child, additionalSecretOutputs: ["secretString"] },
    );
    this.secretArn = pulumi.all([secret.arn, version.id]).apply(([arn]) => arn); // once it has a value
    this.securityGroupId = group.id;
    this.registerOutputs({
      url: this.url,
      host: this.host,
      port: this.port,
      clusterMode: this.clusterMode,
      secretArn: this.secretArn,
      securityGroupId: this.securityGroupId,
    });
  }
}
