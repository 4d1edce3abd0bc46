import * as pulumi from "@pulumi/pulumi";
import { Buckets } from "../../components/buckets/index.ts";
import { Cache } from "../../components/cache/index.ts";
import type { AwsContext } from "../../components/context.ts";
import { Database } from "../../components/database/index.ts";
import { Files } from "../../components/files/index.ts";
import type { BaseLayer, DataLayer } from "./layers.ts";
import type { AwsPlan } from "./plan.ts";

export interface DataArgs {
  readonly context: AwsContext;
  readonly plan: AwsPlan;
  readonly base: BaseLayer;
}

/** What is kept: cache, database, files, buckets. Who may connect is said by those who do. */
export class Data extends pulumi.ComponentResource {
  readonly layer: DataLayer;
  /** Address of the cache with its password, a secret; null without one. What another stack takes over has its ARN only. */
  readonly cacheUrl: pulumi.Output<string> | null;

  constructor(name: string, args: DataArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:data:Data", name, {}, opts);
    const { context, plan, base } = args;
    const { fleet } = context;
    const child = { parent: this };
    const store = {
      context,
      vpcId: base.network.vpcId,
      dataSubnetIds: [...base.network.dataSubnetIds],
      keyArn: base.keys.data,
      clientSecurityGroupIds: {},
    };
    const cache = plan.cache && new Cache(`${fleet}-cache`, { ...store, plan: plan.cache }, child);
    const database =
      plan.database &&
      new Database(
        `${fleet}-database`,
        { ...store, plan: plan.database, logsKeyArn: base.keys.logs },
        child,
      );
    const files = plan.files && new Files(`${fleet}-files`, { ...store, plan: plan.files }, child);
    const buckets = new Buckets(
      `${fleet}-buckets`,
      { context, plan: plan.buckets, keyArn: base.keys.data },
      child,
    );
    this.cacheUrl = cache?.url ?? null;
    this.layer = {
      cache: cache && {
        host: cache.host,
        port: cache.port,
        secretArn: cache.secretArn,
        securityGroupId: cache.securityGroupId,
        clusterMode: cache.clusterMode,
      },
      database: database && {
        host: database.host,
        port: database.port,
        secretArn: database.secretArn,
        securityGroupId: database.securityGroupId,
        databaseName: database.databaseName,
        proxyHost: database.proxyHost ?? null,
        proxySecurityGroupId: database.proxySecurityGroupId ?? null,
      },
      files: files && {
        fileSystemId: files.fileSystemId,
        accessPoints: files.accessPoints,
        securityGroupId: files.securityGroupId,
      },
      replicas: buckets.replicasBucket,
      chatLogs: buckets.chatLogsBucket,
      accessLogs: buckets.accessLogsBucket ?? null,
    };
    this.registerOutputs({ ...this.layer });
  }
}
