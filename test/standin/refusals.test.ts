import { beforeAll, describe, expect, test } from "vitest";
import { deployAws } from "../../stacks/aws/deploy.ts";
import type { AwsStackSettings } from "../../stacks/aws/plan.ts";
import { settingsSchema } from "../../stacks/settings-schema.ts";
import { furnish, settingsObject } from "../engine/aws/stacks.ts";
import { NOTHING_SECRET } from "../support/nothing-secret.ts";
import { Cloud } from "./cloud.ts";
import { runInProcess } from "./in-process.ts";
import { finished } from "./mutate.ts";
import { Replay, randomly, type Step } from "./replay.ts";
import { World } from "./world.ts";

let replay: Replay;

beforeAll(async () => {
  const world = new World();
  furnish(world);
  const rows = [...world.rows.values()];
  const settings = settingsSchema.parse(settingsObject("eks", "medium")) as AwsStackSettings;
  const made = await runInProcess(world, "team", () =>
    deployAws({ stack: "team", settings, isSecret: NOTHING_SECRET }),
  );
  replay = new Replay(made, { rows, settings: world.settings });
}, 120_000);

const step = (end: string): Step => {
  const found = [...replay.steps.values()].find(({ urn }) => urn.endsWith(end));
  if (!found) throw new Error(`the stack has no ${end}`);
  return found;
};

/** Without a resource, making the rest is refused, with these words. */
const MISSING: readonly (readonly [missing: string, words: RegExp])[] = [
  [":Addon::team-cluster-vpc-cni", /nodes stay NotReady without vpc-cni/],
  [
    ":Addon::team-cluster-eks-pod-identity-agent",
    /without eks-pod-identity-agent|eks-pod-identity-agent is not there/,
  ],
  [":NodeGroup::team-cluster-system", /DEGRADED .* has no nodes/],
  [":AccessEntry::team-cluster-admin-123456789012-role-deployer", /no access entry/],
  [":Release::team-nodes-definitions", /no matches for kind/],
  [
    ":PodIdentityAssociation::team-platform-load-balancer-association",
    /no pod identity association/,
  ],
  [":Release::team-platform-load-balancer", /no matches for kind|nobody acts on/],
  [":RolePolicyAttachment::team-cluster-AmazonEKSClusterPolicy", /lacks AmazonEKSClusterPolicy/],
  [":CertificateValidation::team-edge-validated", /pending validation/],
  [":Record::team-edge-validation-fleet-example-com", /there is no record/],
  [":BucketVersioning::team-buckets-replicas-versions", /has no versioning/],
  [":BucketPolicy::team-buckets-access-logs-policy", /access denied for bucket/],
];

describe("the stand-in refuses what AWS refuses", () => {
  test.each(MISSING)("a stack without %s", (missing, words) => {
    step(missing);
    const failure = replay.up(replay.empty(), randomly(1), { ghosts: [missing] });
    expect(failure?.message).toMatch(words);
  });

  /** Deleted too early, with everything else there. */
  const EARLY: readonly (readonly [string, RegExp])[] = [
    [":Release::team-platform-load-balancer", /still needs it/],
    [":PodIdentityAssociation::team-nodes-controller-association", /still needs it/],
    [
      ":AccessPolicyAssociation::team-cluster-admin-123456789012-role-deployer-rights",
      /still needs it/,
    ],
    [":Vpc::team-network-vpc", /still needs it/],
    [":SecurityGroup::team-cache-access", /still needs it/],
    [":RolePolicyAttachment::team-cluster-AmazonEKSClusterPolicy", /still needs it/],
  ];
  test.each(EARLY)("the end of %s before what needs it", (early, words) => {
    const cloud = new Cloud(finished(replay));
    const { id, ...asked } = step(early);
    expect(() => cloud.delete(asked, id)).toThrow(words);
  });

  /** A change, as inputs laid over what is there. */
  const CHANGES: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    [":Instance::team-database-postgres", { allocatedStorage: 5 }, /cannot shrink from \d+ to 5/],
    [":Cluster::team-cluster-cluster", { version: "1.37" }, /only one minor at a time/],
    [
      ":ReplicationGroup::team-cache-valkey",
      { engineVersion: "8.0" },
      /family|no engine downgrade/,
    ],
    [":ReplicationGroup::team-cache-valkey", { clusterMode: "disabled" }, /one way only/],
  ];
  test.each(CHANGES)("%s becoming %o", (end, more, words) => {
    const cloud = new Cloud(finished(replay));
    const { id, inputs, ...asked } = step(end);
    expect(() => cloud.update(asked, id, { ...inputs, ...more })).toThrow(words);
  });

  test("a control plane in other zones than it was made in", () => {
    const cloud = new Cloud(finished(replay));
    const { id, inputs, ...asked } = step(":Cluster::team-cluster-cluster");
    const vpcConfig = inputs.vpcConfig as { subnetIds: string[] };
    const fewer = {
      ...inputs,
      vpcConfig: { ...vpcConfig, subnetIds: vpcConfig.subnetIds.slice(1) },
    };
    expect(() => cloud.update(asked, id, fewer)).toThrow(/must belong to the zones/);
    const reversed = { ...vpcConfig, subnetIds: [...vpcConfig.subnetIds].reverse() };
    expect(cloud.update(asked, id, { ...inputs, vpcConfig: reversed })).toBeDefined();
  });

  /** What stands in the way of deletion in the thing itself. */
  const HELD: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    [":Bucket::team-buckets-replicas", { forceDestroy: false }, /BucketNotEmpty/],
    [
      ":Instance::team-database-postgres",
      { deletionProtection: true },
      /deletionProtection is true/,
    ],
    [
      ":LoadBalancer::team-edge-lb",
      { enableDeletionProtection: true },
      /enableDeletionProtection is true/,
    ],
  ];
  test.each(HELD)("the end of %s with %o", (end, more, words) => {
    const world = finished(replay);
    const { id, inputs, ...asked } = step(end);
    const row = [...world.rows.values()].find(({ urn }) => urn === asked.urn);
    if (!row) throw new Error(`${end} was not made`);
    world.put({ ...row, inputs: { ...inputs, ...more } });
    expect(() => new Cloud(world).delete(asked, id)).toThrow(words);
  });

  test("a cache of engine valkey that is no replication group", () => {
    const { failures } = new Cloud(new World()).check(
      { ...step(":ReplicationGroup::team-cache-valkey"), type: "aws:elasticache/cluster:Cluster" },
      undefined,
      { engine: "valkey" },
      "0123456",
    );
    expect(failures.map(({ reason }) => reason).join()).toMatch(/does not take engine valkey/);
  });

  test("a type that has no row, by name", () => {
    const asked = { ...step(":Vpc::team-network-vpc"), type: "aws:lambda/function:Function" };
    expect(() => new Cloud(new World()).create(asked, {})).toThrow(/no rule for aws:lambda/);
    const odd = { ...asked, type: "kubernetes:example.com/v1:Widget" };
    expect(() => new Cloud(new World()).create(odd, {})).toThrow(
      /no rule for kubernetes:example.com/,
    );
  });
});
