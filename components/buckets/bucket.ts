import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import type { BucketPlan, LifecycleRule } from "./plan.ts";

/** A statement of a bucket's policy beside the one that wants TLS. */
export interface BucketStatement {
  readonly Sid: string;
  readonly Principal: Readonly<Record<string, pulumi.Input<string>>>;
  readonly Action: string;
  /** Below the bucket's ARN, e.g. `/AWSLogs/*`. */
  readonly path: string;
}

/** What others use of a bucket. */
export interface BucketRef {
  /** Known once the bucket's policy stands, so that what writes by it may at once. */
  readonly name: pulumi.Output<string>;
  readonly arn: pulumi.Output<string>;
}

/**
 * A bucket that belongs to its owner alone: no public access, no access lists, TLS only, encrypted,
 * versioned, with a lifecycle.
 */
export function makeBucket(
  name: string,
  args: {
    readonly context: AwsContext;
    readonly plan: BucketPlan;
    readonly keyArn: pulumi.Input<string>;
    readonly statements?: readonly BucketStatement[];
  },
  child: pulumi.CustomResourceOptions,
): BucketRef {
  const { context, plan, keyArn } = args;
  const { lifetime } = context;
  const store = new aws.s3.Bucket(
    name,
    { forceDestroy: lifetime.forceDestroy, tags: { ...context.tags, Name: name } },
    { ...child, protect: lifetime.protect },
  );
  const bucket = store.bucket;
  const owner = new aws.s3.BucketOwnershipControls(
    `${name}-owner`,
    { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } },
    child,
  );
  // One after the other: S3 answers two changes of a bucket's access at once with a conflict.
  const closed = new aws.s3.BucketPublicAccessBlock(
    `${name}-closed`,
    {
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    { ...child, dependsOn: owner },
  );
  const policy = new aws.s3.BucketPolicy(
    `${name}-policy`,
    { bucket, policy: policyOf(store.arn, args.statements ?? []) },
    { ...child, dependsOn: closed },
  );
  new aws.s3.BucketServerSideEncryptionConfiguration(
    `${name}-encryption`,
    {
      bucket,
      rules: [
        {
          applyServerSideEncryptionByDefault:
            plan.encryption === "kms"
              ? { sseAlgorithm: "aws:kms", kmsMasterKeyId: keyArn }
              : { sseAlgorithm: "AES256" },
          // Without it every PUT is a request to KMS, and paid for.
          bucketKeyEnabled: plan.encryption === "kms",
          // Nobody writes with a key that we do not have. S3 refuses it since April 2026 by itself, and
          // what it sets unasked would be a change at every `up`.
          blockedEncryptionTypes: ["SSE-C"],
        },
      ],
    },
    child,
  );
  const versions = new aws.s3.BucketVersioning(
    `${name}-versions`,
    { bucket, versioningConfiguration: { status: "Enabled" } },
    child,
  );
  new aws.s3.BucketLifecycleConfiguration(
    `${name}-lifecycle`,
    { bucket, rules: plan.lifecycle.map(ruleOf) },
    { ...child, dependsOn: versions }, // rules about old versions want versions
  );
  if (plan.objectLockDays > 0) {
    // Turned on for the bucket as it is: a flag at the bucket itself would replace it.
    new aws.s3.BucketObjectLockConfiguration(
      `${name}-lock`,
      {
        bucket,
        rule: { defaultRetention: { mode: "GOVERNANCE", days: plan.objectLockDays } },
      },
      { ...child, dependsOn: versions },
    );
  }
  return {
    name: pulumi.all([bucket, policy.id]).apply(([one]) => one),
    arn: pulumi.all([store.arn, policy.id]).apply(([one]) => one),
  };
}

function policyOf(arn: pulumi.Input<string>, statements: readonly BucketStatement[]) {
  return pulumi.jsonStringify({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "TlsOnly",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: [arn, pulumi.interpolate`${arn}/*`],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
      ...statements.map(({ Sid, Principal, Action, path }) => ({
        Sid,
        Effect: "Allow",
        Principal,
        Action,
        Resource: pulumi.interpolate`${arn}${path}`,
      })),
    ],
  });
}

function ruleOf(rule: LifecycleRule): aws.types.input.s3.BucketLifecycleConfigurationRule {
  return {
    id: rule.id,
    status: "Enabled",
    filter: { prefix: "" }, // every object
    ...(rule.moves
      ? { transitions: rule.moves.map(({ days, to }) => ({ days, storageClass: to })) }
      : {}),
    ...(rule.expireDays ? { expiration: { days: rule.expireDays } } : {}),
    ...(rule.oldVersionDays
      ? {
          noncurrentVersionExpiration: { noncurrentDays: rule.oldVersionDays },
          expiration: { expiredObjectDeleteMarker: true },
        }
      : {}),
    ...(rule.abortDays
      ? { abortIncompleteMultipartUpload: { daysAfterInitiation: rule.abortDays } }
      : {}),
  };
}
