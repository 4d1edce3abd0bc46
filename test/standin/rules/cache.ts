import { textAt, valuesAt } from "../world.ts";
import { keyRef, LOG_GROUP } from "./keys-logs.ts";
import { arnOf, exclusive, idFrom, need, present, ref } from "./parts.ts";
import { groupNeed } from "./security-groups.ts";
import { familyFits, twoZones } from "./stores.ts";
import type { Made, Rules } from "./types.ts";

const SUBNET = "aws:ec2/subnet:Subnet";
const CACHE = "aws:elasticache/replicationGroup:ReplicationGroup";
const CACHE_SUBNETS = "aws:elasticache/subnetGroup:SubnetGroup";
const CACHE_PARAMETERS = "aws:elasticache/parameterGroup:ParameterGroup";
const USER = "aws:elasticache/user:User";
const USERS = "aws:elasticache/userGroup:UserGroup";

const NAME = /^[a-z][a-z0-9-]*$/;
const IDENTIFIER = /^(?!.*--)[a-z][a-z0-9-]*[a-z0-9]$/;

const cacheArn = (made: Made, kind: string, id: string) =>
  arnOf(made, "elasticache", `${kind}:${id}`);

export const CACHE_RULES: Rules = {
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
};

function clusterMode(inputs: Readonly<Record<string, unknown>>): boolean {
  if (inputs.clusterMode !== undefined) return inputs.clusterMode === "enabled";
  return Number(inputs.numNodeGroups) > 1 || /cluster\.on/.test(String(inputs.parameterGroupName));
}
