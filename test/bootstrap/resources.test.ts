import { describe, expect, test } from "vitest";
import { Bootstrap } from "../../bootstrap/resources.ts";
import {
  type BootstrapSettings,
  bootstrapSettings,
  isRepository,
  subjectsOf,
} from "../../bootstrap/settings.ts";
import { record, settled } from "../support/pulumi-mocks.ts";

const PLACE = { accountId: "210987654321", region: "eu-central-1" };
const settings = (more: object = {}): BootstrapSettings =>
  bootstrapSettings.parse({ ...PLACE, repositories: ["ann/fleet"], ...more });
const made = (more: object = {}) =>
  record(() => new Bootstrap("openclaw-fleet", { settings: settings(more), partition: "aws" }));

describe("a bootstrap", () => {
  test("protects everything it makes", async () => {
    const { resources } = await made();
    const custom = resources.filter(({ type }) => type.startsWith("aws:"));
    expect(custom.length).toBeGreaterThan(10);
    for (const { options, name } of custom) expect([name, options.protect]).toEqual([name, true]);
  });

  test("keeps states in a bucket that is versioned, encrypted by its key, closed and TLS only", async () => {
    const recording = await made();
    const bucket = "openclaw-fleet-state-210987654321-eu-central-1";
    expect(recording.one("aws:s3/bucket:Bucket").inputs.bucket).toBe(bucket);
    expect(recording.one("aws:s3/bucket:Bucket").inputs).not.toHaveProperty("forceDestroy");
    const versioning = recording.one("aws:s3/bucketVersioning:BucketVersioning");
    expect(versioning.inputs.versioningConfiguration).toEqual({ status: "Enabled" });
    const encryption = recording.one(
      "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    );
    expect(encryption.inputs.rules).toEqual([
      {
        applyServerSideEncryptionByDefault: {
          sseAlgorithm: "aws:kms",
          kmsMasterKeyId: await settled(recording.value.stateKeyArn),
        },
        bucketKeyEnabled: true,
        blockedEncryptionTypes: ["SSE-C"],
      },
    ]);
    expect(
      recording.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs,
    ).toMatchObject({
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    expect(recording.one("aws:s3/bucketPolicy:BucketPolicy").inputs.policy).toContain(bucket);
    expect(recording.one("aws:kms/key:Key").inputs).toMatchObject({ enableKeyRotation: true });
    expect(recording.one("aws:kms/alias:Alias").inputs.name).toBe("alias/openclaw-fleet-state");
  });

  test("trusts a branch with deploys, and pull requests with previews", async () => {
    const recording = await made();
    const trust = (role: string) =>
      JSON.parse(recording.one("aws:iam/role:Role", role).inputs.assumeRolePolicy).Statement[0];
    const sub = "token.actions.githubusercontent.com:sub";
    const provider = recording.one("aws:iam/openIdConnectProvider:OpenIdConnectProvider");
    expect(provider.inputs).toMatchObject({
      url: "https://token.actions.githubusercontent.com",
      clientIdLists: ["sts.amazonaws.com"],
    });
    const deploy = trust("openclaw-fleet-deploy");
    expect(deploy.Condition.StringEquals[sub]).toEqual(["repo:ann/fleet:ref:refs/heads/main"]);
    expect(deploy.Principal.Federated).toMatch(/^arn:aws:iam:/);
    expect(trust("openclaw-fleet-preview").Condition.StringEquals[sub]).toEqual([
      "repo:ann/fleet:pull_request",
      "repo:ann/fleet:ref:refs/heads/main",
    ]);
  });

  test("without a repository has no roles and no identity provider", async () => {
    const recording = await made({ repositories: [] });
    expect(recording.of("aws:iam/role:Role")).toEqual([]);
    expect(recording.of("aws:iam/openIdConnectProvider:OpenIdConnectProvider")).toEqual([]);
    expect(recording.of("aws:iam/policy:Policy")).toHaveLength(1);
    expect(recording.value.deployRoleArn).toBeNull();
  });

  test("uses an identity provider that the account has, and makes none", async () => {
    const recording = await made({ existingGithubProvider: true });
    expect(recording.of("aws:iam/openIdConnectProvider:OpenIdConnectProvider")).toEqual([]);
    const { assumeRolePolicy } = recording.one("aws:iam/role:Role", "openclaw-fleet-deploy").inputs;
    expect(assumeRolePolicy).toContain(
      "arn:aws:iam::210987654321:oidc-provider/token.actions.githubusercontent.com",
    );
  });

  test("gives the preview role no right of the deploy role", async () => {
    const recording = await made();
    const policyOf = (role: string) =>
      recording
        .of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        .filter(({ name }) => name.startsWith(`openclaw-fleet-${role}-rights`))
        .map(({ inputs }) => inputs.policyArn);
    expect(policyOf("deploy")).toHaveLength(2);
    expect(policyOf("preview")).toHaveLength(1);
    expect(policyOf("deploy")).not.toContain(policyOf("preview")[0]);
  });
});

describe("who may come", () => {
  test("environments stand instead of a branch, in each repository", () => {
    const repositories = ["ann/fleet", "bob@1/fleet@2"];
    const { deploy } = subjectsOf({ repositories, branch: "main", environments: ["prod"] });
    expect(deploy).toEqual([
      "repo:ann/fleet:environment:prod",
      "repo:bob@1/fleet@2:environment:prod",
    ]);
  });

  test.each([
    ["ann/fleet", true],
    ["ann@123/fleet@456", true],
    ["ann@123/fleet", false],
    ["ann/fleet@456", false],
    ["ann/*", false],
    ["*/fleet", false],
    ["ann", false],
    ["ann/fleet/x", false],
  ])("%s names a repository: %s", (given, good) => {
    expect(isRepository(given)).toBe(good);
  });

  test.each([[{ branch: "*" }], [{ environments: ["prod*"] }], [{ accountId: "1" }]])(
    "%j is refused",
    (more) => {
      expect(bootstrapSettings.safeParse({ ...PLACE, ...more }).success).toBe(false);
    },
  );
});
