import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { deployIdentity, deployInfrastructure } from "./deploy-rights.ts";
import {
  BOOTSTRAP_PATH,
  BOUNDARY,
  DEPLOY_ROLE,
  GITHUB_ISSUER,
  PREVIEW_ROLE,
  STATE_ALIAS,
  stateBucket,
} from "./names.ts";
import {
  boundary,
  bucketPolicy,
  document,
  githubTrust,
  keyPolicy,
  type PolicyPlace,
  type Statement,
} from "./policies.ts";
import { previewRights } from "./preview-rights.ts";
import { type BootstrapSettings, subjectsOf } from "./settings.ts";

/** Older versions of a state that are kept at least, however old. */
const KEPT_VERSIONS = 50;
/** Days after which further versions of a state go. */
const VERSION_DAYS = 365;

/** A deploy waits for clusters and databases; the role's default of an hour ends in the middle. Seconds. */
const SESSION_SECONDS = 4 * 3_600;

const TAGS = { "openclaw-fleet": "bootstrap" };

/**
 * What must outlive every stack of an account: where states are kept, what encrypts their secrets, and
 * the roles of CI. All of it is protected, and in no stack that `fleet destroy` knows.
 */
export class Bootstrap extends pulumi.ComponentResource {
  readonly stateBucket: pulumi.Output<string>;
  readonly stateKeyArn: pulumi.Output<string>;
  readonly boundaryArn: pulumi.Output<string>;
  /** Null: no repository was named. */
  readonly deployRoleArn: pulumi.Output<string> | null = null;
  readonly previewRoleArn: pulumi.Output<string> | null = null;

  constructor(
    name: string,
    args: { readonly settings: BootstrapSettings; readonly partition: string },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("openclaw-fleet:bootstrap:Bootstrap", name, {}, opts);
    const { settings, partition } = args;
    const child = { parent: this, protect: true };
    const bare = { ...settings, partition, keyArn: "" };

    const key = new aws.kms.Key(
      `${name}-key`,
      {
        description: "States of openclaw-fleet's stacks and the secrets in their settings",
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        policy: document(keyPolicy(bare)),
        tags: { ...TAGS, Name: `${name}-key` },
      },
      child,
    );
    new aws.kms.Alias(`${name}-alias`, { name: STATE_ALIAS, targetKeyId: key.keyId }, child);
    this.stateKeyArn = key.arn;
    this.stateBucket = stateBucketOf(name, { settings, partition, keyArn: key.arn }, child);

    const policy = (role: string, make: (place: PolicyPlace) => Statement[]) =>
      new aws.iam.Policy(
        `${name}-${role}`,
        {
          name: role === "boundary" ? BOUNDARY : `openclaw-fleet-${role}`,
          path: BOOTSTRAP_PATH,
          policy: key.arn.apply((keyArn) => document(make({ ...bare, keyArn }))),
          tags: { ...TAGS, Name: `${name}-${role}` },
        },
        child,
      );
    this.boundaryArn = policy("boundary", boundary).arn;
    if (settings.repositories.length > 0) {
      const issuer = githubProvider(name, args, child);
      const subjects = subjectsOf(settings);
      const role = (
        of: { readonly key: string; readonly name: string; readonly subjects: readonly string[] },
        rights: readonly aws.iam.Policy[],
      ) => {
        const made = new aws.iam.Role(
          `${name}-${of.key}`,
          {
            name: of.name,
            maxSessionDuration: SESSION_SECONDS,
            assumeRolePolicy: pulumi
              .output(issuer)
              .apply((arn) => document(githubTrust(arn, of.subjects))),
            tags: { ...TAGS, Name: of.name },
          },
          child,
        );
        rights.forEach((each, i) => {
          new aws.iam.RolePolicyAttachment(
            `${name}-${of.key}-rights-${i + 1}`,
            { role: made.name, policyArn: each.arn },
            child,
          );
        });
        return made.arn;
      };
      this.deployRoleArn = role({ key: "deploy", name: DEPLOY_ROLE, subjects: subjects.deploy }, [
        policy("deploy-infrastructure", deployInfrastructure),
        policy("deploy-identity", deployIdentity),
      ]);
      this.previewRoleArn = role(
        { key: "preview", name: PREVIEW_ROLE, subjects: subjects.preview },
        [policy("preview", previewRights)],
      );
    }
    this.registerOutputs({
      stateBucket: this.stateBucket,
      stateKeyArn: this.stateKeyArn,
      boundaryArn: this.boundaryArn,
      deployRoleArn: this.deployRoleArn,
      previewRoleArn: this.previewRoleArn,
    });
  }
}

/** GitHub's identity provider: an account has it once. */
function githubProvider(
  name: string,
  args: { readonly settings: BootstrapSettings; readonly partition: string },
  opts: pulumi.CustomResourceOptions,
): pulumi.Input<string> {
  const { settings, partition } = args;
  if (settings.existingGithubProvider) {
    return `arn:${partition}:iam::${settings.accountId}:oidc-provider/${GITHUB_ISSUER}`;
  }
  return new aws.iam.OpenIdConnectProvider(
    `${name}-github`,
    {
      url: `https://${GITHUB_ISSUER}`,
      clientIdLists: ["sts.amazonaws.com"],
      tags: { ...TAGS, Name: `${name}-github` },
    },
    opts,
  ).arn;
}

/** The bucket of states: every version kept, encrypted by our key, TLS only, never public. */
function stateBucketOf(
  name: string,
  args: {
    readonly settings: BootstrapSettings;
    readonly partition: string;
    readonly keyArn: pulumi.Output<string>;
  },
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const { settings, partition, keyArn } = args;
  const bucket = new aws.s3.Bucket(
    `${name}-state`,
    { bucket: stateBucket(settings), tags: { ...TAGS, Name: stateBucket(settings) } },
    opts,
  );
  const of = { bucket: bucket.bucket };
  const closed = new aws.s3.BucketPublicAccessBlock(
    `${name}-state-closed`,
    {
      ...of,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    opts,
  );
  new aws.s3.BucketOwnershipControls(
    `${name}-state-owner`,
    { ...of, rule: { objectOwnership: "BucketOwnerEnforced" } },
    opts,
  );
  const versions = new aws.s3.BucketVersioning(
    `${name}-state-versions`,
    { ...of, versioningConfiguration: { status: "Enabled" } },
    opts,
  );
  new aws.s3.BucketServerSideEncryptionConfiguration(
    `${name}-state-encryption`,
    {
      ...of,
      rules: [
        {
          applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: keyArn },
          bucketKeyEnabled: true,
          // S3 sets it by itself since April 2026; unwritten, it would be a change at every run.
          blockedEncryptionTypes: ["SSE-C"],
        },
      ],
    },
    opts,
  );
  new aws.s3.BucketLifecycleConfiguration(
    `${name}-state-lifecycle`,
    {
      ...of,
      rules: [
        {
          id: "old-versions",
          status: "Enabled",
          filter: { prefix: "" },
          noncurrentVersionExpiration: {
            noncurrentDays: VERSION_DAYS,
            newerNoncurrentVersions: KEPT_VERSIONS,
          },
          abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
        },
      ],
    },
    { ...opts, dependsOn: versions },
  );
  new aws.s3.BucketPolicy(
    `${name}-state-policy`,
    {
      ...of,
      policy: document(bucketPolicy({ ...settings, partition, keyArn: "" })),
    },
    { ...opts, dependsOn: closed },
  );
  return bucket.bucket;
}
