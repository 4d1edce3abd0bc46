import { describe, expect, it } from "vitest";
import { PRICED } from "../../../components/buckets/catalog.ts";
import { Buckets } from "../../../components/buckets/index.ts";
import { planBuckets } from "../../../components/buckets/plan.ts";
import { bucketsSettings } from "../../../components/buckets/settings.ts";
import type { AwsContext } from "../../../components/context.ts";
import { type Registered, record, settled } from "../../support/pulumi-mocks.ts";
import { EPHEMERAL, KEPT, PLACE, types, untagged } from "../data-fixtures.ts";

const BUCKET = "aws:s3/bucket:Bucket";
const POLICY = "aws:s3/bucketPolicy:BucketPolicy";
const CLOSED = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock";
const LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration";
const LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration";
const ALL = ["prod-buckets-replicas", "prod-buckets-chat-logs", "prod-buckets-access-logs"];

const built = (context: AwsContext = KEPT, set: object = {}, accessLogs = true) => {
  const plan = planBuckets({
    region: context.region,
    turns: 1_500_000,
    shards: 20,
    shardDiskMiB: 60,
    accessLogs,
    logDays: context.lifetime.logDays,
    forceDestroy: context.lifetime.forceDestroy,
    settings: bucketsSettings.parse(set),
  });
  return record(() => new Buckets("prod-buckets", { context, plan, keyArn: PLACE.keyArn }), {
    computed: {
      [BUCKET]: (_, name) => ({ bucket: `${name}-0a1b2c3`, arn: `arn:aws:s3:::${name}-0a1b2c3` }),
    },
  });
};

const statements = (policy: Registered) => JSON.parse(policy.inputs.policy).Statement;

describe("Buckets", () => {
  it("lets nobody in from outside, keeps no access lists, and wants TLS, in every bucket", async () => {
    const recording = await built();
    expect(recording.of(BUCKET).map((r) => r.name)).toEqual(ALL);
    for (const name of ALL) {
      expect(recording.one(CLOSED, `${name}-closed`).inputs).toMatchObject({
        bucket: `${name}-0a1b2c3`,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      });
      expect(
        recording.one("aws:s3/bucketOwnershipControls:BucketOwnershipControls", `${name}-owner`)
          .inputs.rule,
      ).toEqual({ objectOwnership: "BucketOwnerEnforced" });
      expect(statements(recording.one(POLICY, `${name}-policy`))[0]).toEqual({
        Sid: "TlsOnly",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: [`arn:aws:s3:::${name}-0a1b2c3`, `arn:aws:s3:::${name}-0a1b2c3/*`],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      });
      expect(
        recording.one("aws:s3/bucketVersioning:BucketVersioning", `${name}-versions`).inputs
          .versioningConfiguration.status,
      ).toBe("Enabled");
    }
  });

  it("encrypts under the data key; access logs under S3's own, since balancers deliver to no other", async () => {
    const recording = await built();
    const rules = (name: string) =>
      recording.one(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        `${name}-encryption`,
      ).inputs.rules;
    for (const name of ALL.slice(0, 2)) {
      expect(rules(name)).toEqual([
        {
          applyServerSideEncryptionByDefault: {
            sseAlgorithm: "aws:kms",
            kmsMasterKeyId: PLACE.keyArn,
          },
          bucketKeyEnabled: true,
          blockedEncryptionTypes: ["SSE-C"],
        },
      ]);
    }
    expect(rules("prod-buckets-access-logs")).toEqual([
      {
        applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" },
        bucketKeyEnabled: false,
        blockedEncryptionTypes: ["SSE-C"],
      },
    ]);
  });

  it("writes lifecycles as S3 takes them", async () => {
    const recording = await built();
    expect(recording.one(LIFECYCLE, "prod-buckets-chat-logs-lifecycle").inputs.rules).toEqual([
      {
        id: "archive",
        status: "Enabled",
        filter: { prefix: "" },
        transitions: [
          { days: 3, storageClass: "GLACIER_IR" },
          { days: 93, storageClass: "DEEP_ARCHIVE" },
        ],
        expiration: { days: 365 },
      },
      {
        id: "clean-up",
        status: "Enabled",
        filter: { prefix: "" },
        noncurrentVersionExpiration: { noncurrentDays: 7 },
        expiration: { expiredObjectDeleteMarker: true },
        abortIncompleteMultipartUpload: { daysAfterInitiation: 1 },
      },
    ]);
  });

  it("lets the region's balancers write this account's folder, and nobody else anything", async () => {
    const recording = await built();
    const Resource = "arn:aws:s3:::prod-buckets-access-logs-0a1b2c3/AWSLogs/123456789012/*";
    const allowed = statements(recording.one(POLICY, "prod-buckets-access-logs-policy")).slice(1);
    expect(allowed).toEqual([
      {
        Sid: "BalancerLogs",
        Effect: "Allow",
        Principal: { Service: "logdelivery.elasticloadbalancing.amazonaws.com" },
        Action: "s3:PutObject",
        Resource,
      },
      {
        Sid: "BalancerLogsByAccount",
        Effect: "Allow",
        Principal: { AWS: "arn:aws:iam::054676820928:root" },
        Action: "s3:PutObject",
        Resource,
      },
    ]);
    for (const name of ALL.slice(0, 2)) {
      expect(statements(recording.one(POLICY, `${name}-policy`))).toHaveLength(1);
    }
  });

  it("names the service alone where the region has no account of balancers", async () => {
    const recording = await built({ ...KEPT, region: "eu-central-2" });
    const allowed = statements(recording.one(POLICY, "prod-buckets-access-logs-policy")).slice(1);
    expect(allowed.map((s: { Principal: object }) => Object.keys(s.Principal))).toEqual([
      ["Service"],
    ]);
  });

  it("names the partition that AWS says", async () => {
    const recording = await built({ ...KEPT, region: "cn-north-1", partition: "aws-cn" });
    const policy = recording.one(POLICY, "prod-buckets-access-logs-policy").inputs.policy;
    expect(policy).toContain("arn:aws-cn:iam::638102146993:root");
  });

  it("makes no bucket of access logs without a balancer", async () => {
    const recording = await built(KEPT, {}, false);
    expect(recording.of(BUCKET).map((r) => r.name)).toEqual(ALL.slice(0, 2));
    expect(recording.value.accessLogsBucket).toBeUndefined();
  });

  it("locks by governance where asked, on the bucket as it is, and else not at all", async () => {
    expect((await built()).of(LOCK)).toEqual([]);
    const recording = await built(KEPT, { objectLockDays: 30 });
    expect(recording.of(LOCK).map((r) => r.name)).toEqual([
      "prod-buckets-replicas-lock",
      "prod-buckets-chat-logs-lock",
    ]);
    expect(recording.of(LOCK)[0]?.inputs.rule).toEqual({
      defaultRetention: { mode: "GOVERNANCE", days: 30 },
    });
    for (const bucket of recording.of(BUCKET)) {
      expect(bucket.inputs.objectLockEnabled).toBeUndefined(); // would replace the bucket
    }
  });

  it("protects what it holds with its environment, and deletes it with an ephemeral one", async () => {
    for (const bucket of (await built()).of(BUCKET)) {
      expect(bucket.options.protect).toBe(true);
      expect(bucket.inputs.forceDestroy).toBe(false);
    }
    for (const bucket of (await built(EPHEMERAL)).of(BUCKET)) {
      expect(bucket.options.protect).toBe(false);
      expect(bucket.inputs.forceDestroy).toBe(true);
    }
  });

  it("changes a bucket's access one thing after the other, and its lifecycle after its versions", async () => {
    const recording = await built(KEPT, { objectLockDays: 1 });
    const urn = (type: string, name: string) => recording.one(type, name).urn;
    const name = "prod-buckets-replicas";
    expect(recording.one(CLOSED, `${name}-closed`).dependencies).toContain(
      urn("aws:s3/bucketOwnershipControls:BucketOwnershipControls", `${name}-owner`),
    );
    expect(recording.one(POLICY, `${name}-policy`).dependencies).toContain(
      urn(CLOSED, `${name}-closed`),
    );
    const versions = urn("aws:s3/bucketVersioning:BucketVersioning", `${name}-versions`);
    expect(recording.one(LIFECYCLE, `${name}-lifecycle`).dependencies).toContain(versions);
    expect(recording.one(LOCK, `${name}-lock`).dependencies).toContain(versions);
  });

  it("hands a bucket out only when its policy stands: a balancer may write at once", async () => {
    const name = (await built()).value.accessLogsBucket?.name;
    if (!name) throw new Error("there is no bucket of access logs");
    expect(await settled(name)).toBe("prod-buckets-access-logs-0a1b2c3");
    const waits = await (
      name as unknown as { allResources(): Promise<Set<{ urn: never }>> }
    ).allResources();
    const urns = await Promise.all([...waits].map((r) => settled<string>(r.urn)));
    expect(urns.some((urn) => urn.includes("bucketPolicy"))).toBe(true);
  });

  it("has a price or a reason for every type, and tags on every bucket", async () => {
    const recording = await built(KEPT, { objectLockDays: 1 });
    expect(types(recording).filter((type) => !PRICED[type])).toEqual([]);
    expect(
      untagged(
        recording,
        types(recording).filter((type) => type !== BUCKET),
      ),
    ).toEqual([]);
  });
});
