import { describe, expect, it } from "vitest";
import type { AwsContext } from "../../../components/context.ts";
import { FLEET_NAME_MAX } from "../../../components/context.ts";
import { DATABASE_ID_MAX, PRICED } from "../../../components/database/catalog.ts";
import { Database } from "../../../components/database/index.ts";
import { planDatabase } from "../../../components/database/plan.ts";
import { databaseSettings } from "../../../components/database/settings.ts";
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

const INSTANCE = "aws:rds/instance:Instance";
const PROXY = "aws:rds/proxy:Proxy";
const LOG = "aws:cloudwatch/logGroup:LogGroup";
const SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1";

const planned = (connections = 60, backupDays = 14) =>
  planDatabase({
    users: 1000,
    connections,
    multiAz: true,
    zones: 3,
    backupDays,
    settings: databaseSettings.parse({}),
  });

const COMPUTED = {
  [INSTANCE]: () => ({
    address: "prod-database.rds.example",
    masterUserSecrets: [{ secretArn: SECRET }],
  }),
  [PROXY]: () => ({ endpoint: "prod-database-proxy.rds.example" }),
  "random:index/randomId:RandomId": () => ({ hex: "0badcafe" }),
};

const built = (plan = planned(), context: AwsContext = KEPT, name = "prod-database") =>
  record(
    () => new Database(name, { ...PLACE, logsKeyArn: "arn:aws:kms:k:1:key/logs", context, plan }),
    {
      computed: COMPUTED,
    },
  );

describe("Database", () => {
  it("is PostgreSQL 18 with a copy in another zone, encrypted, on an isolated address", async () => {
    const { inputs } = (await built()).one(INSTANCE);
    expect(inputs).toMatchObject({
      identifier: "prod-database",
      engine: "postgres",
      engineVersion: "18",
      instanceClass: "db.t4g.micro",
      multiAz: true,
      storageType: "gp3",
      allocatedStorage: 40,
      maxAllocatedStorage: 200,
      storageEncrypted: true,
      kmsKeyId: PLACE.keyArn,
      publiclyAccessible: false,
      dbName: "openclaw",
      databaseInsightsMode: "standard",
      engineLifecycleSupport: "open-source-rds-extended-support-disabled",
    });
    expect(inputs.performanceInsightsEnabled).toBeUndefined();
    expect(inputs.iops).toBeUndefined(); // refused below 400 GiB
  });

  it("knows no password: RDS makes and rotates it under the data key", async () => {
    const recording = await built();
    const { inputs } = recording.one(INSTANCE);
    expect(inputs).toMatchObject({
      username: "fleet",
      manageMasterUserPassword: true,
      masterUserSecretKmsKeyId: PLACE.keyArn,
    });
    expect(inputs.password).toBeUndefined();
    expect(recording.of("random:index/randomPassword:RandomPassword")).toEqual([]);
    expect(await settled(recording.value.secretArn)).toBe(SECRET);
  });

  it("takes no connection without TLS", async () => {
    const { inputs } = (await built()).one("aws:rds/parameterGroup:ParameterGroup");
    expect(inputs).toMatchObject({
      family: "postgres18",
      parameters: [{ name: "rds.force_ssl", value: "1", applyMethod: "pending-reboot" }],
    });
  });

  it("makes the log groups that RDS would make without an end, and makes them first", async () => {
    const recording = await built(planned(300));
    expect(recording.of(LOG).map((r) => [r.inputs.name, r.inputs.retentionInDays])).toEqual([
      ["/aws/rds/instance/prod-database/postgresql", 90],
      ["/aws/rds/instance/prod-database/upgrade", 90],
      ["/aws/rds/proxy/prod-database-proxy", 90],
    ]);
    const [postgresql, upgrade, proxy] = recording.of(LOG).map((r) => r.urn);
    expect(recording.one(INSTANCE).dependencies).toEqual(
      expect.arrayContaining([postgresql, upgrade]),
    );
    expect(recording.one(INSTANCE).inputs.enabledCloudwatchLogsExports).toEqual([
      "postgresql",
      "upgrade",
    ]);
    expect(recording.one(PROXY).dependencies).toContain(proxy);
  });

  it("keeps backups, refuses deletion and leaves a last snapshot where the environment does", async () => {
    const instance = (await built()).one(INSTANCE);
    expect(instance.inputs).toMatchObject({
      backupRetentionPeriod: 14,
      deleteAutomatedBackups: false,
      deletionProtection: true,
      skipFinalSnapshot: false,
      finalSnapshotIdentifier: "prod-database-last-0badcafe",
      copyTagsToSnapshot: true,
    });
    expect(instance.options.protect).toBe(true);
  });

  it("names the last snapshot anew for every attempt to delete, which lifts the protection first", async () => {
    const on = (await built()).one("random:index/randomId:RandomId");
    const lifted = { ...KEPT, lifetime: { ...KEPT.lifetime, deletionProtection: false } };
    const off = (await built(planned(), lifted)).one("random:index/randomId:RandomId");
    expect(on.inputs.keepers.deletionProtection).toBe("true");
    expect(off.inputs.keepers.deletionProtection).toBe("false");
  });

  it("leaves nothing behind in an ephemeral environment", async () => {
    const recording = await built(planned(60, 0), EPHEMERAL);
    const instance = recording.one(INSTANCE);
    expect(instance.inputs).toMatchObject({
      backupRetentionPeriod: 0,
      deleteAutomatedBackups: true,
      deletionProtection: false,
      skipFinalSnapshot: true,
    });
    expect(instance.inputs.finalSnapshotIdentifier).toBeUndefined();
    expect(instance.inputs.backupWindow).toBeUndefined();
    expect(instance.options.protect).toBe(false);
    expect(recording.of("random:index/randomId:RandomId")).toEqual([]);
  });

  it("is reached by its clients' groups on one port, by no address, and opens nothing itself", async () => {
    const recording = await built();
    expect(recording.of(INGRESS).map((r) => [r.name, r.inputs.referencedSecurityGroupId])).toEqual([
      ["prod-database-access-from-nodes", "sg-0nodes"],
    ]);
    expect(recording.of(INGRESS)[0]?.inputs).toMatchObject({ fromPort: 5432, toPort: 5432 });
    expect(recording.of(EGRESS)).toEqual([]);
    expect(written(recording)).not.toMatch(/0\.0\.0\.0\/0|::\/0|cidrIpv4/);
  });

  it("has no proxy, role or further group below 300 connections", async () => {
    const recording = await built(planned(299));
    expect(recording.of(PROXY)).toEqual([]);
    expect(recording.of("aws:iam/role:Role")).toEqual([]);
    expect(recording.of(GROUP)).toHaveLength(1);
    expect(recording.value.proxyHost).toBeUndefined();
  });

  it("lets clients to the proxy, the proxy to the instance, and nobody else anywhere", async () => {
    const recording = await built(planned(300));
    const rule = (name: string) => recording.one(INGRESS, name).inputs;
    expect(recording.of(INGRESS)).toHaveLength(3);
    expect(rule("prod-database-access-from-nodes").securityGroupId).toBe("prod-database-access-id");
    expect(rule("prod-database-proxy-access-from-nodes")).toMatchObject({
      securityGroupId: "prod-database-proxy-access-id",
      referencedSecurityGroupId: "sg-0nodes",
    });
    expect(rule("prod-database-proxy-instance-from-proxy")).toMatchObject({
      securityGroupId: "prod-database-access-id",
      referencedSecurityGroupId: "prod-database-proxy-access-id",
    });
    expect(recording.one(EGRESS).inputs).toMatchObject({
      securityGroupId: "prod-database-proxy-access-id",
      referencedSecurityGroupId: "prod-database-access-id",
      fromPort: 5432,
      toPort: 5432,
    });
    expect(written(recording)).not.toMatch(/0\.0\.0\.0\/0|::\/0|cidrIpv4/);
  });

  it("gives the proxy TLS, the database's secret, and a role that reads nothing else", async () => {
    const recording = await built(planned(300));
    expect(recording.one(PROXY).inputs).toMatchObject({
      name: "prod-database-proxy",
      engineFamily: "POSTGRESQL",
      requireTls: true,
      vpcSubnetIds: PLACE.dataSubnetIds,
      auths: [
        {
          authScheme: "SECRETS",
          clientPasswordAuthType: "POSTGRES_SCRAM_SHA_256",
          iamAuth: "DISABLED",
          secretArn: SECRET,
        },
      ],
    });
    const role = recording.one("aws:iam/role:Role").inputs;
    expect(role).toMatchObject({
      permissionsBoundary: KEPT.permissionsBoundaryArn,
      path: "/fleets/",
    });
    const policy = JSON.parse(recording.one("aws:iam/rolePolicy:RolePolicy").inputs.policy);
    expect(policy.Statement).toEqual([
      { Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: SECRET },
      {
        Effect: "Allow",
        Action: "kms:Decrypt",
        Resource: PLACE.keyArn,
        Condition: { StringLike: { "kms:ViaService": "secretsmanager.eu-central-1.*" } },
      },
    ]);
    expect(recording.one(PROXY).dependencies).toContain(
      recording.one("aws:iam/rolePolicy:RolePolicy").urn,
    );
    expect(recording.one("aws:rds/proxyTarget:ProxyTarget").inputs).toMatchObject({
      dbProxyName: "prod-database-proxy",
      dbInstanceIdentifier: "prod-database",
    });
    expect(await settled(recording.value.proxyHost as never)).toBe(
      "prod-database-proxy.rds.example",
    );
  });

  it("replaces what has a fixed name by deleting it first", async () => {
    const recording = await built(planned(300));
    expect(recording.one(INSTANCE).options.deleteBeforeReplace).toBe(true);
    expect(recording.one(PROXY).options.deleteBeforeReplace).toBe(true);
  });

  it("gives AWS names that fit with the longest fleet", async () => {
    const recording = await built(planned(300), KEPT, `${"f".repeat(FLEET_NAME_MAX)}-database`);
    for (const id of [
      recording.one(INSTANCE).inputs.identifier,
      recording.one(PROXY).inputs.name,
      recording.one(INSTANCE).inputs.finalSnapshotIdentifier,
    ]) {
      expect(id.length).toBeLessThanOrEqual(DATABASE_ID_MAX);
      expect(id).toMatch(/^[a-z](-?[a-z0-9])*$/);
    }
  });

  it("is the same in a preview, before anything is known", async () => {
    const plan = planned(300);
    const preview = await record(
      () => new Database("prod-database", { ...PLACE, context: KEPT, plan }),
      { preview: true },
    );
    const real = await built(plan);
    expect(preview.resources.map((r) => r.urn).sort()).toEqual(
      real.resources.map((r) => r.urn).sort(),
    );
  });

  it("has a price or a reason for every type, and tags wherever they go", async () => {
    const recording = await built(planned(300));
    expect(types(recording).filter((type) => !PRICED[type])).toEqual([]);
    expect(
      untagged(recording, [
        "aws:iam/rolePolicy:RolePolicy",
        "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup",
        "aws:rds/proxyTarget:ProxyTarget",
      ]),
    ).toEqual([]);
  });
});
