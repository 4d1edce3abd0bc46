import type { Row, World } from "../world.ts";
import { valuesAt } from "../world.ts";
import { principals } from "./iam.ts";
import { keyRef } from "./keys-logs.ts";
import { arnOf, idFrom, need, notJson, parsed, partitionOf, ref } from "./parts.ts";
import type { Rule, Rules } from "./types.ts";

export const BUCKET = "aws:s3/bucket:Bucket";
const VERSIONING = "aws:s3/bucketVersioning:BucketVersioning";

/** Settings that S3 keeps in a resource of their own beside the bucket. */
const part = (file: string, more: Partial<Rule> = {}): Rule => ({
  source: `s3/${file}.go`,
  id: idFrom("bucket"),
  replaces: ["bucket"],
  unique: [["bucket"]],
  ...more,
  needs: [ref("bucket", BUCKET), ...(more.needs ?? [])],
});

const versioned = (row: Row, world: World) => {
  const own = world.find(VERSIONING, "bucket", row.inputs.bucket);
  return valuesAt(own?.inputs, "versioningConfiguration.status")[0] === "Enabled";
};

const CLASSES = [
  "STANDARD_IA",
  "ONEZONE_IA",
  "INTELLIGENT_TIERING",
  "GLACIER",
  "GLACIER_IR",
  "DEEP_ARCHIVE",
];

export const S3: Rules = {
  [BUCKET]: {
    source: "s3/bucket.go",
    id: idFrom("bucket"),
    name: {
      property: "bucket",
      max: 63,
      lower: true,
      pattern: /^(?!xn--|\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    },
    replaces: ["bucket", "bucketPrefix", "objectLockEnabled", "bucketNamespace"],
    computed: (made, id) => {
      const { region } = made.scope;
      return {
        arn: `arn:${partitionOf(region)}:s3:::${id}`,
        bucketDomainName: `${id}.s3.amazonaws.com`,
        bucketRegionalDomainName: `${id}.s3.${region}.amazonaws.com`,
        hostedZoneId: "Z21DNDUVLTQW6Q",
        bucketRegion: region,
      };
    },
    // A bucket in use has objects, versions and begun uploads.
    refusesDelete: (row) =>
      row.inputs.forceDestroy === true
        ? null
        : "BucketNotEmpty: the bucket has objects and forceDestroy is not set",
  },
  [VERSIONING]: part("bucket_versioning", {
    values: { "versioningConfiguration.status": ["Enabled", "Suspended", "Disabled"] },
  }),
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": part("bucket_public_access_block"),
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls": part("bucket_ownership_controls", {
    values: {
      "rule.objectOwnership": ["BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced"],
    },
  }),
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": part(
    "bucket_server_side_encryption_configuration",
    {
      values: {
        "rules[].applyServerSideEncryptionByDefault.sseAlgorithm": [
          "AES256",
          "aws:kms",
          "aws:kms:dsse",
        ],
        "rules[].blockedEncryptionTypes[]": ["SSE-C", "NONE"],
      },
      needs: [keyRef("rules[].applyServerSideEncryptionByDefault.kmsMasterKeyId")],
    },
  ),
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": part(
    "bucket_lifecycle_configuration",
    {
      values: {
        "rules[].status": ["Enabled", "Disabled"],
        "rules[].transitions[].storageClass": CLASSES,
        "rules[].noncurrentVersionTransitions[].storageClass": CLASSES,
        "rules[].id": /^.{1,255}$/,
      },
      faults: (i) =>
        valuesAt(i, "rules[]").map((rule) => {
          const steps = valuesAt(rule, "transitions[]") as {
            days?: number;
            storageClass: string;
          }[];
          const early = steps.find(
            ({ days = 0, storageClass }) =>
              /_IA$/.test(storageClass) && storageClass !== "GLACIER_IR" && days < 30,
          );
          if (early)
            return `a transition to ${early.storageClass} is after 30 days at the earliest`;
          const last = Math.max(0, ...steps.map(({ days = 0 }) => days));
          const [end] = valuesAt(rule, "expiration.days");
          return typeof end === "number" && end <= last
            ? `expiration after ${end} days is not later than the transition after ${last}`
            : null;
        }),
      needs: [
        need("rules on noncurrent versions need versioning", (row, world) => {
          const wants = valuesAt(row.inputs, "rules[].noncurrentVersionExpiration").length > 0;
          return wants && !versioned(row, world)
            ? "the bucket has no versioning, so its noncurrent versions never expire"
            : null;
        }),
      ],
    },
  ),
  "aws:s3/bucketPolicy:BucketPolicy": part("bucket_policy", {
    faults: (i) => [notJson(i, "policy")],
    needs: [
      principals("policy"),
      need("a bucket's policy speaks of that bucket", (row, world) => {
        const bucket = world.find(BUCKET, "id", row.inputs.bucket);
        const arn = String(bucket?.state.arn);
        const named = [parsed(row.inputs.policy)?.Statement ?? []]
          .flat()
          .flatMap((one) => valuesAt(one, "Resource"))
          .flat();
        const foreign = named.find((one) => one !== arn && !String(one).startsWith(`${arn}/`));
        return foreign ? `MalformedPolicy: ${foreign} is not in this bucket` : null;
      }),
    ],
  }),
  "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": part(
    "bucket_object_lock_configuration",
    {
      values: { "rule.defaultRetention.mode": ["GOVERNANCE", "COMPLIANCE"] },
      needs: [
        need("object lock needs versioning", (row, world) => {
          const bucket = world.find(BUCKET, "id", row.inputs.bucket);
          return versioned(row, world) || bucket?.inputs.objectLockEnabled === true
            ? null
            : "InvalidBucketState: versioning must be enabled before object lock";
        }),
      ],
    },
  ),
  "aws:s3/bucketLogging:BucketLogging": part("bucket_logging", {
    needs: [ref("targetBucket", BUCKET)],
  }),
  "aws:s3/bucketNotification:BucketNotification": part("bucket_notification"),
  "aws:s3/bucketIntelligentTieringConfiguration:BucketIntelligentTieringConfiguration": part(
    "bucket_intelligent_tiering_configuration",
    { id: idFrom("bucket", "name"), unique: [], replaces: ["bucket", "name"] },
  ),
  "aws:s3/bucketObjectv2:BucketObjectv2": {
    source: "s3/object.go",
    id: (made) => `${made.inputs.bucket}/${made.inputs.key}`,
    replaces: ["bucket", "key"],
    unique: [["bucket", "key"]],
    needs: [ref("bucket", BUCKET)],
    computed: (made, id) => ({ arn: arnOf(made, "s3", id, true), etag: made.hex(32) }),
  },
};

/** Whether a bucket's policy names a service or account that must write to it. */
export function bucketAdmits(row: Row | undefined, words: RegExp, world: World): boolean {
  const policy = world.find("aws:s3/bucketPolicy:BucketPolicy", "bucket", row?.id);
  return words.test(String(policy?.inputs.policy ?? ""));
}
