import type { Row, World } from "../world.ts";
import { textAt, valuesAt } from "../world.ts";
import { groupNeed } from "./ec2-network.ts";
import { ROLE } from "./iam.ts";
import { keyRef, LOG_GROUP, ownLogGroup } from "./keys-logs.ts";
import { arn, arnOf, exclusive, idFrom, need, oneOf, present, ref } from "./parts.ts";
import { SECRET } from "./small.ts";
import type { Made, Need, Rules } from "./types.ts";

const SUBNET = "aws:ec2/subnet:Subnet";
const CACHE = "aws:elasticache/replicationGroup:ReplicationGroup";
const CACHE_SUBNETS = "aws:elasticache/subnetGroup:SubnetGroup";
const CACHE_PARAMETERS = "aws:elasticache/parameterGroup:ParameterGroup";
const USER = "aws:elasticache/user:User";
const USERS = "aws:elasticache/userGroup:UserGroup";
export const DATABASE = "aws:rds/instance:Instance";
const DB_SUBNETS = "aws:rds/subnetGroup:SubnetGroup";
const DB_PARAMETERS = "aws:rds/parameterGroup:ParameterGroup";
const PROXY = "aws:rds/proxy:Proxy";
const FILES = "aws:efs/fileSystem:FileSystem";

const NAME = /^[a-z][a-z0-9-]*$/;
const IDENTIFIER = /^(?!.*--)[a-z][a-z0-9-]*[a-z0-9]$/;

/** Subnets of a group lie in at least two zones, as RDS and Multi-AZ demand. */
function twoZones(path = "subnetIds[]"): Need {
  return need("its subnets are in two zones or more", (row, world) => {
    const zones = valuesAt(row.inputs, path).map((id) => {
      const subnet = world.find(SUBNET, "id", id);
      return subnet?.state.availabilityZone ?? subnet?.state.availabilityZoneId;
    });
    return new Set(zones).size >= 2 ? null : "its subnets are in fewer than two zones";
  });
}

/** `valkey9` fits `9.0`, `postgres18` fits `18.1`. */
function familyFits(family: unknown, engine: unknown, version: unknown): boolean {
  const [, name, major] = /^([a-z-]+)(\d+)/.exec(String(family)) ?? [];
  return name === engine && String(version).split(".")[0] === major;
}

const cacheArn = (made: Made, kind: string, id: string) =>
  arnOf(made, "elasticache", `${kind}:${id}`);

export const DATA: Rules = {
  [CACHE_SUBNETS]: {
    source: "elasticache/subnet_group.go",
    id: idFrom("name"),
    name: { property: "name", max: 255, lower: true },
    replaces: ["name"],
    needs: [ref("subnetIds[]", SUBNET)],
    computed: (made, id) => ({ arn: cacheArn(made, "subnetgroup", id), vpcId: "" }),
  },
  [CACHE_PARAMETERS]: {
    source: "elasticache/parameter_group.go",
    id: idFrom("name"),
    name: { property: "name", max: 255, lower: true, pattern: NAME },
    replaces: ["description", "family", "name"],
    values: { family: /^(valkey[789]|redis[4567](\.x)?|redis\d\.\d|memcached.*)$/ },
    computed: (made, id) => ({ arn: cacheArn(made, "parametergroup", id) }),
  },
  [USER]: {
    source: "elasticache/user.go@01f43111",
    id: idFrom("userId"),
    name: { property: "userId", max: 40, required: true, pattern: IDENTIFIER },
    replaces: ["userId", "userName"],
    values: {
      engine: ["redis", "valkey"],
      "authenticationMode.type": ["password", "no-password-required", "iam"],
    },
    faults: (i) => [
      exclusive(i, "authenticationMode", "passwords", "passwordsWo"),
      valuesAt(i, "passwords[]").length > 2 ? "a user has two passwords at most" : null,
      i.noPasswordRequired === true && present(i.passwords) && "noPasswordRequired and passwords",
      ...valuesAt(i, "passwords[]").map((word) =>
        String(word).length < 16 || String(word).length > 128
          ? "a password has 16 to 128 characters"
          : null,
      ),
      i.userName === "default" && i.userId === "default"
        ? "the user default exists already: another userId with userName default replaces it"
        : null,
      !/^(on|off)\b.*[~+-]/.test(String(i.accessString)) &&
      !String(i.accessString).startsWith("04da6b54")
        ? `accessString ${JSON.stringify(i.accessString)} gives no keys or commands`
        : null,
    ],
    computed: (made, id) => ({ arn: cacheArn(made, "user", id) }),
    refusesDelete: (row, world) => {
      const group = world
        .of(USERS)
        .find((one) => valuesAt(one.inputs, "userIds[]").includes(row.id));
      return group ? `InvalidUserState: it is in user group ${group.id}` : null;
    },
  },
  [USERS]: {
    source: "elasticache/user_group.go",
    id: idFrom("userGroupId"),
    name: { property: "userGroupId", max: 40, required: true, pattern: IDENTIFIER },
    replaces: ["userGroupId"],
    values: { engine: ["redis", "valkey"] },
    needs: [
      ref("userIds[]", USER, { allow: /^default$/ }),
      need("a redis group has a user called default", (row, world) => {
        if (row.inputs.engine !== "redis") return null;
        const names = valuesAt(row.inputs, "userIds[]").map(
          (id) => world.find(USER, "id", id)?.inputs.userName ?? id,
        );
        return names.includes("default")
          ? null
          : "DefaultUserRequired: the group has no user called default";
      }),
      need("a valkey group has no users without password", (row, world) => {
        if (row.inputs.engine !== "valkey") return null;
        const open = valuesAt(row.inputs, "userIds[]")
          .map((id) => world.find(USER, "id", id))
          .find(
            (user) =>
              user?.inputs.noPasswordRequired === true &&
              !/\boff\b/.test(String(user.inputs.accessString)),
          );
        return open ? `InvalidParameterValue: ${open.id} needs a password in a valkey group` : null;
      }),
      need("a user's engine is the group's", (row, world) => {
        const other = valuesAt(row.inputs, "userIds[]")
          .map((id) => world.find(USER, "id", id))
          .find((user) => user && row.inputs.engine === "redis" && user.inputs.engine !== "redis");
        return other
          ? `InvalidParameterValue: ${other.id} is of engine ${other.inputs.engine}`
          : null;
      }),
    ],
    computed: (made, id) => ({ arn: cacheArn(made, "usergroup", id) }),
  },
  "aws:elasticache/userGroupAssociation:UserGroupAssociation": {
    source: "elasticache/user_group_association.go",
    id: (made) => `${made.inputs.userGroupId},${made.inputs.userId}`,
    replaces: ["userGroupId", "userId"],
    needs: [ref("userGroupId", USERS), ref("userId", USER)],
  },
  "aws:elasticache/cluster:Cluster": {
    source: "elasticache/cluster.go",
    id: idFrom("clusterId"),
    name: { property: "clusterId", max: 50, lower: true },
    replaces: ["clusterId", "engine", "port", "subnetGroupName"],
    computed: (made, id) => ({ arn: cacheArn(made, "cluster", id) }),
    faults: (i) => [
      i.engine === "valkey"
        ? "CreateCacheCluster does not take engine valkey: use a replication group"
        : null,
    ],
  },
  [CACHE]: {
    source: "elasticache/replication_group.go@001b6364",
    id: idFrom("replicationGroupId"),
    name: { property: "replicationGroupId", max: 40, lower: true, pattern: IDENTIFIER },
    replaces: [
      "atRestEncryptionEnabled",
      "dataTieringEnabled",
      "durability",
      "globalReplicationGroupId",
      "kmsKeyId",
      "networkType",
      "port",
      "replicationGroupId",
      "securityGroupNames",
      "snapshotArns",
      "snapshotName",
      "subnetGroupName",
    ],
    values: {
      engine: ["redis", "valkey"],
      clusterMode: ["enabled", "disabled", "compatible"],
      transitEncryptionMode: ["preferred", "required"],
      snapshotRetentionLimit: [0, 35],
      description: /./,
      nodeType: /^cache\.[a-z0-9]+\.[a-z0-9]+$/,
      "logDeliveryConfigurations[].destinationType": ["cloudwatch-logs", "kinesis-firehose"],
      "logDeliveryConfigurations[].logFormat": ["json", "text"],
      "logDeliveryConfigurations[].logType": ["slow-log", "engine-log"],
      snapshotWindow: /^\d\d:\d\d-\d\d:\d\d$/,
      maintenanceWindow: /^[a-z]{3}:\d\d:\d\d-[a-z]{3}:\d\d:\d\d$/,
    },
    faults: (i) => [
      exclusive(i, "numCacheClusters", "numNodeGroups"),
      exclusive(i, "numCacheClusters", "replicasPerNodeGroup"),
      exclusive(i, "authToken", "userGroupIds"),
      i.multiAzEnabled === true && i.automaticFailoverEnabled !== true
        ? "multiAzEnabled needs automaticFailoverEnabled"
        : null,
      i.automaticFailoverEnabled === true && i.numCacheClusters === 1
        ? "automaticFailoverEnabled needs numCacheClusters of 2 or more"
        : null,
      present(i.userGroupIds) && i.transitEncryptionEnabled !== true
        ? "user groups need transitEncryptionEnabled"
        : null,
      present(i.transitEncryptionMode) && i.transitEncryptionEnabled !== true
        ? "transitEncryptionMode needs transitEncryptionEnabled"
        : null,
      clusterMode(i) && i.automaticFailoverEnabled !== true
        ? "cluster mode needs automaticFailoverEnabled"
        : null,
      i.clusterMode === "enabled" && present(i.numCacheClusters)
        ? "cluster mode takes numNodeGroups, not numCacheClusters"
        : null,
      Number(i.snapshotRetentionLimit) > 0 && /cache\.t1\./.test(String(i.nodeType))
        ? "t1 nodes have no snapshots"
        : null,
      i.durability === "sync" && (!clusterMode(i) || !/^cache\.(r|m)/.test(String(i.nodeType)))
        ? "durability sync needs cluster mode and an r or m node"
        : null,
    ],
    needs: [
      ref("subnetGroupName", CACHE_SUBNETS),
      groupNeed("securityGroupIds[]"),
      ref("userGroupIds[]", USERS),
      keyRef("kmsKeyId"),
      ref("parameterGroupName", CACHE_PARAMETERS, { allow: /^default\./ }),
      ref("logDeliveryConfigurations[].destination", LOG_GROUP, { by: "name" }),
      ref("notificationTopicArn", "aws:sns/topic:Topic", { by: "arn" }),
      need("its parameter group is of its engine's family", (row, world) => {
        const name = row.inputs.parameterGroupName;
        const group = world.find(CACHE_PARAMETERS, "id", name);
        const family = group?.inputs.family ?? String(name ?? "").replace(/^default\./, "");
        if (!family || row.inputs.engineVersion === undefined) return null;
        const clustered = group
          ? valuesAt(group.inputs, "parameters[]").some(
              (one) => textAt(one, "name") === "cluster-enabled" && textAt(one, "value") === "yes",
            )
          : /\.cluster\.on$/.test(String(name));
        if (!familyFits(family, row.inputs.engine, row.inputs.engineVersion)) {
          return `InvalidParameterCombination: family ${family} is not of ${row.inputs.engine} ${row.inputs.engineVersion}`;
        }
        return clusterMode(row.inputs) && !clustered
          ? "InvalidParameterCombination: cluster mode needs a parameter group with cluster-enabled"
          : null;
      }),
      need("Multi-AZ needs subnets in two zones", (row, world) => {
        if (row.inputs.multiAzEnabled !== true) return null;
        const group = world.find(CACHE_SUBNETS, "id", row.inputs.subnetGroupName);
        return group ? twoZones().fault(group, world) : null;
      }),
      need("a user group's engine fits", (row, world) => {
        const other = valuesAt(row.inputs, "userGroupIds[]")
          .map((id) => world.find(USERS, "id", id))
          .find((group) => group && group.inputs.engine !== row.inputs.engine);
        return other
          ? `InvalidParameterCombination: user group ${other.id} is of ${other.inputs.engine}`
          : null;
      }),
    ],
    update: (old, next) => {
      const order = ["disabled", "compatible", "enabled"];
      const [from, to] = [old, next].map((i) =>
        order.indexOf(String(i.clusterMode ?? (clusterMode(i) ? "enabled" : "disabled"))),
      );
      if ((from as number) > (to as number))
        return "InvalidParameterValue: clusterMode goes one way only";
      if (from === 0 && to === 2)
        return "InvalidParameterValue: clusterMode disabled goes to compatible first";
      const [was, is] = [old, next].map((i) => Number.parseInt(String(i.engineVersion ?? 0), 10));
      if ((is as number) < (was as number))
        return "InvalidParameterCombination: no engine downgrade";
      return old.engine === "valkey" && next.engine === "redis"
        ? "no way back from valkey to redis"
        : null;
    },
    computed: (made, id) => {
      const host = `${id}.${made.hex(6)}.${made.scope.region.replaceAll("-", "")}.cache.amazonaws.com`;
      const clustered = clusterMode(made.inputs);
      return {
        arn: cacheArn(made, "replicationgroup", id),
        clusterEnabled: clustered,
        configurationEndpointAddress: clustered ? `clustercfg.${host}` : "",
        primaryEndpointAddress: clustered ? "" : `master.${host}`,
        readerEndpointAddress: clustered ? "" : `replica.${host}`,
        memberClusters: [`${id}-001`],
        engineVersionActual: made.inputs.engineVersion ?? "",
      };
    },
    leaves: (row, _, when) =>
      when === "delete" && present(row.inputs.finalSnapshotIdentifier)
        ? [{ kind: "cache snapshot", name: String(row.inputs.finalSnapshotIdentifier) }]
        : [],
  },
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
  [FILES]: {
    source: "efs/file_system.go@0389f467",
    id: (made) => `fs-0${made.hex(16)}`,
    replaces: ["availabilityZoneName", "creationToken", "encrypted", "kmsKeyId", "performanceMode"],
    unique: [["creationToken"]],
    values: {
      performanceMode: ["generalPurpose", "maxIO"],
      throughputMode: ["bursting", "provisioned", "elastic"],
      "lifecyclePolicies[].transitionToIa": /^AFTER_(1|7|14|30|60|90|180|270|365)_DAYS?$/,
      "lifecyclePolicies[].transitionToArchive": /^AFTER_(1|7|14|30|60|90|180|270|365)_DAYS?$/,
      "lifecyclePolicies[].transitionToPrimaryStorageClass": ["AFTER_1_ACCESS"],
      kmsKeyId: arn("kms"),
    },
    faults: (i) => [
      present(i.kmsKeyId) && i.encrypted !== true ? "kmsKeyId needs encrypted" : null,
      i.performanceMode === "maxIO" && i.throughputMode === "elastic"
        ? "maxIO has no elastic throughput"
        : null,
      ...valuesAt(i, "lifecyclePolicies[]").map((one) =>
        Object.keys(one as object).length > 1 ? "a lifecycle policy has one transition" : null,
      ),
    ],
    needs: [keyRef("kmsKeyId")],
    computed: (made, id) => ({
      arn: arnOf(made, "elasticfilesystem", `file-system/${id}`),
      dnsName: `${id}.efs.${made.scope.region}.amazonaws.com`,
      creationToken: made.inputs.creationToken ?? `terraform-${made.hex(26)}`,
    }),
    refusesDelete: (row, world) =>
      world.find("aws:efs/mountTarget:MountTarget", "fileSystemId", row.id)
        ? "FileSystemInUse: it has mount targets"
        : null,
  },
  "aws:efs/mountTarget:MountTarget": {
    source: "efs/mount_target.go",
    id: (made) => `fsmt-0${made.hex(16)}`,
    replaces: ["fileSystemId", "ipAddress", "ipAddressType", "ipv6Address", "subnetId"],
    needs: [
      ref("fileSystemId", FILES),
      ref("subnetId", SUBNET),
      groupNeed("securityGroups[]"),
      need("one mount target a zone", (row, world) => {
        const zone = world.find(SUBNET, "id", row.inputs.subnetId)?.state.availabilityZone;
        const other = world
          .of("aws:efs/mountTarget:MountTarget")
          .find(
            (one) =>
              one.key !== row.key &&
              one.inputs.fileSystemId === row.inputs.fileSystemId &&
              world.find(SUBNET, "id", one.inputs.subnetId)?.state.availabilityZone === zone,
          );
        return other ? `MountTargetConflict: zone ${zone} has one already` : null;
      }),
    ],
    computed: (made) => ({
      networkInterfaceId: `eni-0${made.hex(16)}`,
      ipAddress: `10.0.1.${made.number(250)}`,
    }),
  },
  "aws:efs/accessPoint:AccessPoint": {
    source: "efs/access_point.go",
    id: (made) => `fsap-0${made.hex(16)}`,
    replaces: ["fileSystemId", "posixUser", "rootDirectory"],
    needs: [ref("fileSystemId", FILES)],
    computed: (made, id) => ({ arn: arnOf(made, "elasticfilesystem", `access-point/${id}`) }),
  },
  "aws:efs/backupPolicy:BackupPolicy": {
    source: "efs/backup_policy.go",
    id: idFrom("fileSystemId"),
    replaces: ["fileSystemId"],
    values: { "backupPolicy.status": ["ENABLED", "DISABLED"] },
    needs: [ref("fileSystemId", FILES)],
    leaves: (row, _, when) =>
      when === "delete" && textAt(row.inputs, "backupPolicy.status") === "ENABLED"
        ? [{ kind: "backup of a file system", name: String(row.inputs.fileSystemId) }]
        : [],
  },
  "aws:efs/fileSystemPolicy:FileSystemPolicy": {
    source: "efs/file_system_policy.go",
    id: idFrom("fileSystemId"),
    replaces: ["fileSystemId"],
    needs: [ref("fileSystemId", FILES)],
  },
};

function clusterMode(inputs: Readonly<Record<string, unknown>>): boolean {
  if (inputs.clusterMode !== undefined) return inputs.clusterMode === "enabled";
  return Number(inputs.numNodeGroups) > 1 || /cluster\.on/.test(String(inputs.parameterGroupName));
}

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
