import { groupsOf } from "../rules/interfaces.ts";
import { type Row, textAt, valuesAt } from "../world.ts";
import { BUCKET, each, has, INGRESS, type Law, part, someOpen } from "./law.ts";

export const DATA_LAWS: readonly Law[] = [
  {
    says: "a bucket is closed to the public, owned by its account, encrypted, and forgets begun uploads",
    broken: each(BUCKET, (row, world) => {
      const parts = [
        "BucketPublicAccessBlock",
        "BucketOwnershipControls",
        "BucketServerSideEncryptionConfiguration",
        "BucketLifecycleConfiguration",
      ];
      const missing = parts.find((name) => !has(world, part(name), "bucket", row.id));
      if (missing) return `it has no ${missing}`;
      const block = world.find(part("BucketPublicAccessBlock"), "bucket", row.id);
      const open = [
        "blockPublicAcls",
        "blockPublicPolicy",
        "ignorePublicAcls",
        "restrictPublicBuckets",
      ].find((key) => block?.inputs[key] !== true);
      if (open) return `${open} is not set`;
      const life = world.find(part("BucketLifecycleConfiguration"), "bucket", row.id);
      return (
        valuesAt(life?.inputs, "rules[].abortIncompleteMultipartUpload").length === 0 &&
        "begun uploads stay for ever"
      );
    }),
  },
  {
    says: "a bucket refuses what does not come over TLS",
    broken: each(BUCKET, (row, world) => {
      const policy = world.find(part("BucketPolicy"), "bucket", row.id);
      return (
        !String(policy?.inputs.policy).includes('"aws:SecureTransport":"false"') &&
        "its policy admits plain HTTP"
      );
    }),
  },
  {
    says: "a secret has a value",
    broken: each(
      "aws:secretsmanager/secret:Secret",
      (row, world) =>
        !has(world, "aws:secretsmanager/secretVersion:SecretVersion", "secretId", row.id) &&
        "it is empty",
    ),
  },
  {
    says: "an event rule has a target",
    broken: each(
      "aws:cloudwatch/eventRule:EventRule",
      (row, world) =>
        !has(world, "aws:cloudwatch/eventTarget:EventTarget", "rule", row.id) &&
        "its events go nowhere",
    ),
  },
  {
    says: "somebody may connect to every store",
    broken: (world) => [
      ...each("aws:elasticache/replicationGroup:ReplicationGroup", (row) =>
        someOpen(row, "securityGroupIds[]", row.inputs.port ?? 6379, world),
      )(world),
      ...each("aws:rds/instance:Instance", (row) =>
        someOpen(row, "vpcSecurityGroupIds[]", row.state.port, world),
      )(world),
      ...each("aws:rds/proxy:Proxy", (row) => someOpen(row, "vpcSecurityGroupIds[]", 5432, world))(
        world,
      ),
      ...each("aws:efs/mountTarget:MountTarget", (row) =>
        someOpen(row, "securityGroups[]", 2049, world),
      )(world),
    ],
  },
  {
    says: "an account with users of a cache has the cache, and one with a user group of it",
    broken: (world) =>
      world.of("aws:elasticache/userGroup:UserGroup").length >
      world.of("aws:elasticache/replicationGroup:ReplicationGroup").length
        ? ["a user group without a cache"]
        : [],
  },
  {
    says: "a database group, proxy and parameter group belong to something",
    broken: (world) => [
      ...each(
        "aws:rds/subnetGroup:SubnetGroup",
        (row) =>
          !has(world, "aws:rds/instance:Instance", "dbSubnetGroupName", row.id) &&
          "no database is in it",
      )(world),
      ...each(
        "aws:rds/proxy:Proxy",
        (row) =>
          !has(world, "aws:rds/proxyTarget:ProxyTarget", "dbProxyName", row.id) &&
          "it leads nowhere",
      )(world),
    ],
  },
  {
    says: "whoever runs the fleet reaches every store",
    broken: (world) => {
      const runners = [
        ...world.of("aws:ec2/instance:Instance").flatMap((one) => groupsOf(one, world)),
        ...world
          .of("aws:eks/cluster:Cluster")
          .map((one) => textAt(one.state, "vpcConfig.clusterSecurityGroupId")),
      ];
      const shut = (path: string) => (row: Row) => {
        const groups = valuesAt(row.inputs, path);
        const open = world
          .of(INGRESS)
          .some(
            (one) =>
              groups.includes(one.inputs.securityGroupId) &&
              runners.includes(String(one.inputs.referencedSecurityGroupId)),
          );
        return !open && "no rule names the machines that run the fleet";
      };
      return [
        ...each(
          "aws:elasticache/replicationGroup:ReplicationGroup",
          shut("securityGroupIds[]"),
        )(world),
        ...each("aws:rds/instance:Instance", shut("vpcSecurityGroupIds[]"))(world),
        ...each("aws:rds/proxy:Proxy", shut("vpcSecurityGroupIds[]"))(world),
        ...each("aws:efs/mountTarget:MountTarget", shut("securityGroups[]"))(world),
      ];
    },
  },
  {
    says: "a proxy has its pool of connections, and reaches its database",
    broken: each("aws:rds/proxy:Proxy", (row, world) => {
      if (
        !has(
          world,
          "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup",
          "dbProxyName",
          row.id,
        )
      )
        return "its pool is not set";
      const own = valuesAt(row.inputs, "vpcSecurityGroupIds[]");
      const into = world.of("aws:rds/instance:Instance").every((database) => {
        const groups = valuesAt(database.inputs, "vpcSecurityGroupIds[]");
        return world
          .of(INGRESS)
          .some(
            (one) =>
              groups.includes(one.inputs.securityGroupId) &&
              own.includes(one.inputs.referencedSecurityGroupId),
          );
      });
      return !into && "its database does not let it in";
    }),
  },
  {
    says: "a file system asks for TLS, and says whether it is backed up",
    broken: each("aws:efs/fileSystem:FileSystem", (row, world) => {
      const policy = world.find(
        "aws:efs/fileSystemPolicy:FileSystemPolicy",
        "fileSystemId",
        row.id,
      );
      if (!String(policy?.inputs.policy).includes("aws:SecureTransport"))
        return "it may be mounted without TLS";
      if (!has(world, "aws:efs/backupPolicy:BackupPolicy", "fileSystemId", row.id))
        return "nobody says whether it is backed up";
      return (
        !has(world, "aws:efs/accessPoint:AccessPoint", "fileSystemId", row.id) &&
        "it has no access point"
      );
    }),
  },
];
