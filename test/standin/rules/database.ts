import type { Row, World } from "../world.ts";
import { textAt, valuesAt } from "../world.ts";
import { ROLE } from "./iam.ts";
import { keyRef, ownLogGroup } from "./keys-logs.ts";
import { arnOf, exclusive, idFrom, need, oneOf, present, ref } from "./parts.ts";
import { groupNeed } from "./security-groups.ts";
import { SECRET } from "./small.ts";
import { familyFits, twoZones } from "./stores.ts";
import type { Rules } from "./types.ts";

const SUBNET = "aws:ec2/subnet:Subnet";
export const DATABASE = "aws:rds/instance:Instance";
const DB_SUBNETS = "aws:rds/subnetGroup:SubnetGroup";
const DB_PARAMETERS = "aws:rds/parameterGroup:ParameterGroup";
const PROXY = "aws:rds/proxy:Proxy";

const NAME = /^[a-z][a-z0-9-]*$/;

export const DATABASE_RULES: Rules = {
  [DB_SUBNETS]: {
    source: "rds/subnet_group.go",
    id: idFrom("name"),
    name: { property: "name", max: 255, lower: true },
    replaces: ["name", "namePrefix"],
    needs: [ref("subnetIds[]", SUBNET), twoZones()],
    computed: (made, id) => ({ arn: arnOf(made, "rds", `subgrp:${id}`) }),
  },
  [DB_PARAMETERS]: {
    source: "rds/parameter_group.go",
    id: idFrom("name"),
    name: { property: "name", max: 255, lower: true, pattern: NAME },
    replaces: ["description", "family", "name", "namePrefix"],
    values: { family: /^(postgres|mysql|mariadb)[\d.]+$/ },
    computed: (made, id) => ({ arn: arnOf(made, "rds", `pg:${id}`) }),
  },
  [DATABASE]: {
    source: "rds/instance.go@00e4b238",
    id: (made) => `db-${made.hex(26).toUpperCase()}`,
    replaces: [
      "availabilityZone",
      "backupTarget",
      "characterSetName",
      "customIamInstanceProfile",
      "dbName",
      "engine",
      "identifier",
      "identifierPrefix",
      "kmsKeyId",
      "ncharCharacterSetName",
      "restoreToPointInTime",
      "snapshotIdentifier",
      "storageEncrypted",
      "timezone",
      "username",
    ],
    unique: [["identifier"]],
    guard: "deletionProtection",
    grows: ["allocatedStorage"],
    values: {
      storageType: ["gp2", "gp3", "io1", "io2", "standard"],
      databaseInsightsMode: ["standard", "advanced"],
      backupRetentionPeriod: [0, 35],
      identifier: /^(?!.*--)[a-z][a-z0-9-]{0,61}[a-z0-9]$/,
      dbName: /^[A-Za-z]\w{0,62}$/,
      finalSnapshotIdentifier: /^(?!.*--)[A-Za-z][0-9A-Za-z-]*[0-9A-Za-z]$/,
      "enabledCloudwatchLogsExports[]": ["postgresql", "upgrade", "iam-db-auth-error"],
      backupWindow: /^\d\d:\d\d-\d\d:\d\d$/,
      maintenanceWindow: /^[A-Za-z]{3}:\d\d:\d\d-[A-Za-z]{3}:\d\d:\d\d$/,
    },
    faults: (i) => [
      exclusive(i, "password", "passwordWo", "manageMasterUserPassword"),
      exclusive(i, "identifier", "identifierPrefix"),
      i.skipFinalSnapshot !== true && !present(i.finalSnapshotIdentifier)
        ? "finalSnapshotIdentifier is needed unless skipFinalSnapshot is true"
        : null,
      i.performanceInsightsEnabled === true
        ? "Performance Insights ended: use databaseInsightsMode"
        : null,
      i.storageType === "gp3" &&
      Number(i.allocatedStorage) < 400 &&
      (present(i.iops) || present(i.storageThroughput))
        ? "gp3 below 400 GiB takes no iops or storageThroughput"
        : null,
      present(i.maxAllocatedStorage) &&
      Number(i.maxAllocatedStorage) < 1.1 * Number(i.allocatedStorage)
        ? "maxAllocatedStorage is not a tenth above allocatedStorage"
        : null,
      Number(i.monitoringInterval) > 0 ? oneOf(i, "monitoringRoleArn") : null,
      present(i.monitoringInterval) &&
      typeof i.monitoringInterval === "number" &&
      ![0, 1, 5, 10, 15, 30, 60].includes(i.monitoringInterval)
        ? "monitoringInterval is 0, 1, 5, 10, 15, 30 or 60"
        : null,
      i.username === "admin" && i.engine === "postgres"
        ? "admin is a reserved word of postgres"
        : null,
    ],
    needs: [
      ref("dbSubnetGroupName", DB_SUBNETS, { by: "name" }),
      ref("parameterGroupName", DB_PARAMETERS, { by: "name", allow: /^default\./ }),
      ref("monitoringRoleArn", ROLE, { by: "arn" }),
      groupNeed("vpcSecurityGroupIds[]"),
      keyRef("kmsKeyId"),
      keyRef("masterUserSecretKmsKeyId", "either"),
      need("its parameter group is of its version's family", (row, world) => {
        const group = world.find(DB_PARAMETERS, "name", row.inputs.parameterGroupName);
        return !group ||
          familyFits(group.inputs.family, row.inputs.engine, row.inputs.engineVersion)
          ? null
          : `InvalidParameterCombination: family ${group.inputs.family} is not of ${row.inputs.engine} ${row.inputs.engineVersion}`;
      }),
      need("a monitoring role has the policy", (row, world) => {
        const role = textAt(row.inputs, "monitoringRoleArn")?.split("/").at(-1);
        const has = world.find("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "role", role);
        return !role || has ? null : `InvalidParameterValue: ${role} may not write metrics`;
      }),
    ],
    computed: (made, id) => {
      const identifier = String(
        made.inputs.identifier ?? `${made.inputs.identifierPrefix ?? "terraform-"}${made.hex(26)}`,
      );
      const address = `${identifier}.${made.hex(12)}.${made.scope.region}.rds.amazonaws.com`;
      const port = made.inputs.port ?? 5432;
      return {
        arn: arnOf(made, "rds", `db:${identifier}`),
        identifier,
        resourceId: id,
        address,
        port,
        endpoint: `${address}:${port}`,
        engineVersionActual: made.inputs.engineVersion ?? "",
        status: "available",
        masterUserSecrets: made.inputs.manageMasterUserPassword
          ? [
              {
                secretArn: arnOf(
                  made,
                  "secretsmanager",
                  `secret:rds!db-${made.hex(20)}-${made.hex(6)}`,
                ),
                secretStatus: "active",
                kmsKeyId: made.inputs.masterUserSecretKmsKeyId ?? "",
              },
            ]
          : [],
      };
    },
    refusesDelete: (row, world) => {
      const name = String(row.inputs.finalSnapshotIdentifier);
      return row.inputs.skipFinalSnapshot !== true && world.residue.has(`database snapshot ${name}`)
        ? `DBSnapshotAlreadyExists: ${name} was taken before`
        : null;
    },
    leaves: (row, world, when) => databaseLeaves(row, world, when),
  },
  [PROXY]: {
    source: "rds/proxy.go@013f1736",
    id: idFrom("name"),
    name: { property: "name", max: 63, pattern: /^(?!.*--)[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$/ },
    replaces: [
      "endpointNetworkType",
      "engineFamily",
      "targetConnectionNetworkType",
      "vpcSubnetIds",
    ],
    values: {
      engineFamily: ["MYSQL", "POSTGRESQL", "SQLSERVER"],
      idleClientTimeout: [1, 28_800],
      "auths[].authScheme": ["SECRETS"],
      "auths[].iamAuth": ["DISABLED", "REQUIRED", "ENABLED"],
    },
    needs: [
      ref("roleArn", ROLE, { by: "arn" }),
      ref("vpcSubnetIds[]", SUBNET),
      groupNeed("vpcSecurityGroupIds[]"),
      ref("auths[].secretArn", SECRET, { by: "arn", allow: /:secret:rds!/ }),
      twoZones("vpcSubnetIds[]"),
      need(
        "the proxy's role may read the secret",
        (row, world) => {
          const role = textAt(row.inputs, "roleArn")?.split("/").at(-1);
          return world
            .of(
              "aws:iam/rolePolicy:RolePolicy",
              "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            )
            .some((one) => one.inputs.role === role)
            ? null
            : `AuthFailure: role ${role} has no policy that reads the secret`;
        },
        ["settled"],
      ),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "rds", `db-proxy:prx-${made.hex(17)}`),
      endpoint: `${id}.proxy-${made.hex(12)}.${made.scope.region}.rds.amazonaws.com`,
    }),
    leaves: (row, world, when) =>
      when === "create" ? ownLogGroup(`/aws/rds/proxy/${row.id}`, world) : [],
  },
  "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": {
    source: "rds/proxy_default_target_group.go",
    id: idFrom("dbProxyName"),
    replaces: ["dbProxyName"],
    needs: [ref("dbProxyName", PROXY, { by: "name" })],
    computed: (made) => ({
      name: "default",
      arn: arnOf(made, "rds", `target-group:prx-tg-${made.hex(17)}`),
    }),
  },
  "aws:rds/proxyTarget:ProxyTarget": {
    source: "rds/proxy_target.go",
    id: (made) =>
      `${made.inputs.dbProxyName}/${made.inputs.targetGroupName}/RDS_INSTANCE/${made.inputs.dbInstanceIdentifier}`,
    replaces: ["dbClusterIdentifier", "dbInstanceIdentifier", "dbProxyName", "targetGroupName"],
    values: { targetGroupName: ["default"] },
    faults: (i) => [oneOf(i, "dbInstanceIdentifier", "dbClusterIdentifier")],
    needs: [
      ref("dbProxyName", PROXY, { by: "name" }),
      ref("dbInstanceIdentifier", DATABASE, { by: "identifier" }),
      need("its database lets the proxy in, and the proxy may go out", (row, world) => {
        const database = world.find(DATABASE, "identifier", row.inputs.dbInstanceIdentifier);
        const proxy = world.find(PROXY, "name", row.inputs.dbProxyName);
        const at = (way: string, groups: readonly unknown[]) =>
          world
            .of(`aws:vpc/securityGroup${way}Rule:SecurityGroup${way}Rule`)
            .some(
              ({ inputs }) =>
                groups.includes(inputs.securityGroupId) &&
                (inputs.ipProtocol === "-1" || Number(inputs.fromPort) <= 5432),
            );
        const into = at("Ingress", valuesAt(database?.inputs, "vpcSecurityGroupIds[]"));
        const out = at("Egress", valuesAt(proxy?.inputs, "vpcSecurityGroupIds[]"));
        return into && out
          ? null
          : "its target stays unreachable: no rule lets the proxy reach the database";
      }),
    ],
  },
};

function databaseLeaves(row: Row, world: World, when: "create" | "delete" | "along") {
  const name = String(row.state.identifier);
  if (when === "create") {
    return valuesAt(row.inputs, "enabledCloudwatchLogsExports[]").flatMap((kind) =>
      ownLogGroup(`/aws/rds/instance/${name}/${kind}`, world),
    );
  }
  return [
    ...(row.inputs.skipFinalSnapshot === true
      ? []
      : [{ kind: "database snapshot", name: String(row.inputs.finalSnapshotIdentifier) }]),
    ...(row.inputs.deleteAutomatedBackups === false && Number(row.inputs.backupRetentionPeriod) > 0
      ? [{ kind: "database backups", name }]
      : []),
  ];
}
