import { describe, expect, it } from "vitest";
import { CACHE_ID_MAX, PRICED } from "../../../components/cache/catalog.ts";
import { Cache } from "../../../components/cache/index.ts";
import { type CachePlan, planCache } from "../../../components/cache/plan.ts";
import { cacheSettings } from "../../../components/cache/settings.ts";
import { FLEET_NAME_MAX } from "../../../components/context.ts";
import { record, settled } from "../../support/pulumi-mocks.ts";
import {
  EGRESS,
  EPHEMERAL,
  GROUP,
  INGRESS,
  KEPT,
  PLACE,
  types,
  untagged,
  written,
} from "../data-fixtures.ts";

const STORE = "aws:elasticache/replicationGroup:ReplicationGroup";
const PASSWORD = "generated-password-that-nobody-may-see";

const planned = (
  mode: "single" | "sentinel" | "cluster",
  days = 14,
  clusterMode = true,
): CachePlan =>
  planCache({
    mode,
    users: 200,
    zones: 3,
    backupDays: days,
    settings: cacheSettings.parse({ clusterMode }),
  }) as CachePlan;

const COMPUTED = {
  "random:index/randomPassword:RandomPassword": () => ({ result: PASSWORD }),
  [STORE]: () => ({
    configurationEndpointAddress: "clustercfg.valkey.example",
    primaryEndpointAddress: "primary.valkey.example",
  }),
};

const built = (plan: CachePlan, context = KEPT, name = "prod-cache") =>
  record(() => new Cache(name, { ...PLACE, context, plan }), { computed: COMPUTED });

describe("Cache", () => {
  it("is always a replication group of Valkey, encrypted on disk and on the wire", async () => {
    const recording = await built(planned("cluster"));
    const { inputs } = recording.one(STORE);
    expect(inputs).toMatchObject({
      engine: "valkey",
      engineVersion: "9.0",
      nodeType: "cache.m7g.large",
      clusterMode: "enabled",
      numNodeGroups: 3,
      replicasPerNodeGroup: 2,
      automaticFailoverEnabled: true,
      multiAzEnabled: true,
      atRestEncryptionEnabled: true,
      kmsKeyId: PLACE.keyArn,
      transitEncryptionEnabled: true,
      transitEncryptionMode: "required",
      snapshotRetentionLimit: 14,
      port: 6379,
    });
    expect(inputs.numCacheClusters).toBeUndefined(); // AWS refuses both
    expect(inputs.authToken).toBeUndefined();
    expect(recording.of("aws:elasticache/cluster:Cluster")).toEqual([]);
  });

  it("has one node in cluster mode with nobody to take over in mode single", async () => {
    const { inputs } = (await built(planned("single"))).one(STORE);
    expect(inputs).toMatchObject({
      numNodeGroups: 1,
      replicasPerNodeGroup: 0,
      automaticFailoverEnabled: true,
      multiAzEnabled: false,
    });
  });

  it("asks for failover outside cluster mode only where there is a copy", async () => {
    const alone = (await built(planned("single", 0, false))).one(STORE).inputs;
    expect(alone).toMatchObject({
      clusterMode: "disabled",
      numCacheClusters: 1,
      automaticFailoverEnabled: false,
      multiAzEnabled: false,
    });
    expect(alone.numNodeGroups).toBeUndefined();
    const pair = (await built(planned("sentinel", 0, false))).one(STORE).inputs;
    expect(pair).toMatchObject({ numCacheClusters: 3, automaticFailoverEnabled: true });
  });

  it("is not upgraded by AWS behind the version written here, which would then replace it", async () => {
    const { inputs } = (await built(planned("single"))).one(STORE);
    expect(inputs.autoMinorVersionUpgrade).toBe(false);
  });

  it("makes a store anew when its mode changes, since AWS takes none from one to the other at once", async () => {
    const { options } = (await built(planned("single"))).one(STORE);
    expect(options.replaceOnChanges).toEqual(["clusterMode"]);
    const group = "aws:elasticache/parameterGroup:ParameterGroup";
    const cluster = await built(planned("single"));
    const plain = await built(planned("single", 0, false));
    expect(cluster.one(group).name).not.toBe(plain.one(group).name); // one in use does not change its mode
  });

  it("hides behind one host which endpoint it is", async () => {
    const cluster = await built(planned("single"));
    expect(await settled(cluster.value.host)).toBe("clustercfg.valkey.example");
    expect(cluster.value.clusterMode).toBe(true);
    const plain = await built(planned("single", 0, false));
    expect(await settled(plain.value.host)).toBe("primary.valkey.example");
    expect(plain.value.clusterMode).toBe(false);
  });

  it("lets in one user with a generated password, and nobody called default", async () => {
    const recording = await built(planned("single"));
    const user = recording.one("aws:elasticache/user:User");
    expect(user.inputs).toMatchObject({
      engine: "valkey",
      userId: "prod-cache-runtime",
      userName: "runtime",
      authenticationMode: { type: "password", passwords: [PASSWORD] },
    });
    expect(user.inputs.accessString).toContain("-@dangerous");
    expect(recording.one("aws:elasticache/userGroup:UserGroup").inputs).toMatchObject({
      engine: "valkey",
      userIds: ["prod-cache-runtime"],
    });
    expect(recording.one(STORE).inputs.userGroupIds).toEqual(["prod-cache-users"]);
  });

  it("never writes the password but as a secret", async () => {
    const recording = await built(planned("cluster"));
    const holding = recording.resources.filter((r) => JSON.stringify(r.inputs).includes(PASSWORD));
    expect(holding.map((r) => [r.type, r.secrets])).toEqual([
      ["aws:elasticache/user:User", ["authenticationMode"]],
      ["aws:secretsmanager/secretVersion:SecretVersion", ["secretString"]],
    ]);
    expect(await settled(recording.value.url)).toBe(
      `rediss://runtime:${PASSWORD}@clustercfg.valkey.example:6379`,
    );
    const { isSecret } = recording.value.url as unknown as { isSecret: Promise<boolean> };
    expect(await isSecret).toBe(true);
  });

  it("keeps what a client needs in one secret under the data key", async () => {
    const recording = await built(planned("single"));
    const secret = recording.one("aws:secretsmanager/secret:Secret");
    expect(secret.inputs).toMatchObject({ kmsKeyId: PLACE.keyArn, recoveryWindowInDays: 30 });
    const value = recording.one("aws:secretsmanager/secretVersion:SecretVersion").inputs;
    expect(JSON.parse(value.secretString)).toEqual({
      url: `rediss://runtime:${PASSWORD}@clustercfg.valkey.example:6379`,
      host: "clustercfg.valkey.example",
      port: 6379,
      username: "runtime",
      password: PASSWORD,
      clusterMode: true,
    });
  });

  it("is reached by its clients' groups on one port, by no address, and opens nothing itself", async () => {
    const recording = await built(planned("single"));
    expect(recording.of(INGRESS).map((r) => [r.name, r.inputs])).toEqual([
      [
        "prod-cache-access-from-nodes",
        expect.objectContaining({
          referencedSecurityGroupId: "sg-0nodes",
          ipProtocol: "tcp",
          fromPort: 6379,
          toPort: 6379,
        }),
      ],
    ]);
    expect(recording.of(EGRESS)).toEqual([]);
    expect(recording.one(GROUP).inputs.egress).toBeUndefined();
    expect(written(recording)).not.toMatch(/0\.0\.0\.0\/0|::\/0|cidrIpv4/);
  });

  it("is protected with its environment, and leaves no secret behind in an ephemeral one", async () => {
    const kept = await built(planned("single"));
    expect(kept.one(STORE).options.protect).toBe(true);
    const gone = await built(planned("single", 0), EPHEMERAL);
    expect(gone.one(STORE).options.protect).toBe(false);
    expect(gone.one(STORE).inputs.snapshotRetentionLimit).toBe(0);
    expect(gone.one(STORE).inputs.finalSnapshotIdentifier).toBeUndefined();
    expect(gone.one("aws:secretsmanager/secret:Secret").inputs.recoveryWindowInDays).toBe(0);
  });

  it("gives AWS names that fit with the longest fleet", async () => {
    const longest = `${"f".repeat(FLEET_NAME_MAX)}-cache`;
    const recording = await built(planned("single"), KEPT, longest);
    expect(recording.one("aws:elasticache/user:User").inputs.userId.length).toBeLessThanOrEqual(
      CACHE_ID_MAX,
    );
    const generated = "-1234567"; // what Pulumi appends
    expect(`${recording.one(STORE).name}${generated}`.length).toBeLessThanOrEqual(CACHE_ID_MAX);
  });

  it("is the same in a preview, before anything is known", async () => {
    const plan = planned("cluster");
    const preview = await record(() => new Cache("prod-cache", { ...PLACE, context: KEPT, plan }), {
      preview: true,
    });
    const real = await built(plan);
    expect(preview.resources.map((r) => r.urn).sort()).toEqual(
      real.resources.map((r) => r.urn).sort(),
    );
  });

  it("has a price or a reason for every type, and tags wherever they go", async () => {
    const recording = await built(planned("single"));
    expect(types(recording).filter((type) => !PRICED[type])).toEqual([]);
    expect(untagged(recording, ["aws:secretsmanager/secretVersion:SecretVersion"])).toEqual([]);
  });
});
