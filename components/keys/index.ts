import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import type { KeyDomain, KeysPlan } from "./plan.ts";
import { keyPolicy } from "./policy.ts";

export interface KeysArgs {
  readonly context: AwsContext;
  /** From `planKeys`. */
  readonly plan: KeysPlan;
}

/** What each key encrypts. */
const USES: Readonly<Record<KeyDomain, string>> = {
  compute: "disks, cluster secrets and the interruption queue",
  data: "cache, database, files, buckets and secrets",
  logs: "log groups and alert topics",
};

/**
 * One KMS key a domain, so that who may read logs or start machines can still not read data. Turned
 * every year; what was encrypted before stays readable.
 */
export class Keys extends pulumi.ComponentResource {
  readonly computeKeyArn: pulumi.Output<string>;
  readonly dataKeyArn: pulumi.Output<string>;
  readonly logsKeyArn: pulumi.Output<string>;
  /** `alias/<fleet>-<domain>`. */
  readonly aliases: Readonly<Record<KeyDomain, pulumi.Output<string>>>;

  constructor(name: string, args: KeysArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:base:Keys", name, {}, opts);
    const compute = this.key(name, "compute", args);
    const data = this.key(name, "data", args);
    const logs = this.key(name, "logs", args);
    this.computeKeyArn = compute.arn;
    this.dataKeyArn = data.arn;
    this.logsKeyArn = logs.arn;
    this.aliases = { compute: compute.alias, data: data.alias, logs: logs.alias };
    this.registerOutputs({
      computeKeyArn: this.computeKeyArn,
      dataKeyArn: this.dataKeyArn,
      logsKeyArn: this.logsKeyArn,
      aliases: this.aliases,
    });
  }

  private key(name: string, domain: KeyDomain, { context, plan }: KeysArgs) {
    const { fleet, region, accountId, lifetime } = context;
    const key = new aws.kms.Key(
      `${name}-${domain}`,
      {
        description: `${fleet}: ${USES[domain]}`,
        deletionWindowInDays: lifetime.keyRecoveryDays,
        enableKeyRotation: true,
        policy: pulumi
          .output(context.partition)
          .apply((partition) =>
            JSON.stringify(keyPolicy(domain, plan, { fleet, region, accountId, partition })),
          ),
        tags: { ...context.tags, Name: `${name}-${domain}` },
      },
      // A key that is gone is all that it encrypted gone.
      { parent: this, protect: lifetime.protect },
    );
    // AWS wants names that begin with alias/, and people type them.
    const alias = new aws.kms.Alias(
      `${name}-${domain}`,
      { name: `alias/${fleet}-${domain}`, targetKeyId: key.keyId },
      { parent: this },
    );
    return { arn: key.arn, alias: alias.name };
  }
}
