import * as rules from "../../policies/encryption.ts";
import { TYPE } from "../../policies/resources.ts";
import type { ResourceCase, StackCase } from "./cases.ts";
import { changed, later, type Made, stackOf } from "./support.ts";

export const ec2 = () => stackOf("ec2", "medium");

export const eks = () => stackOf("eks", "medium");

export const CONFIGURATION =
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration";

/** Cases of single resources. */
export const RESOURCES: readonly ResourceCase[] = [
  ...(
    [
      [TYPE.database, "storageEncrypted"],
      [TYPE.cache, "atRestEncryptionEnabled"],
      [TYPE.files, "encrypted"],
      ["aws:ebs/volume:Volume", "encrypted"],
    ] as const
  ).map(([type, flag]) => ({
    policy: rules.storesAtRest,
    of: type,
    made: later(ec2, type),
    breaks: [
      [flag, false, `${flag} is false`],
      [flag, undefined, `${flag} is not set`],
      ["kmsKeyId", undefined, "kmsKeyId is not set"],
    ] as const,
    unknown: [
      [flag, "refused"],
      ["kmsKeyId", "passes"],
    ] as const,
  })),
  {
    policy: rules.disksAtRest,
    of: "a host",
    made: later(ec2, TYPE.instance),
    breaks: [
      ["rootBlockDevice.encrypted", false, "rootBlockDevice.encrypted is false"],
      ["rootBlockDevice", undefined, "rootBlockDevice.encrypted is not set"],
      ["rootBlockDevice.kmsKeyId", undefined, "rootBlockDevice.kmsKeyId is not set"],
      ["ebsBlockDevices", [{ encrypted: false }], "ebsBlockDevices[0].encrypted is false"],
    ],
    unknown: [
      ["rootBlockDevice.encrypted", "refused"],
      ["rootBlockDevice.kmsKeyId", "passes"],
    ],
  },
  {
    policy: rules.disksAtRest,
    of: "system nodes",
    made: later(eks, TYPE.launchTemplate),
    breaks: [["blockDeviceMappings.0.ebs.encrypted", "false", "encrypted is false"]],
    unknown: [
      ["blockDeviceMappings.0.ebs.kmsKeyId", "passes"],
      ["blockDeviceMappings", "refused"],
    ],
  },
  {
    policy: rules.disksAtRest,
    of: "nodes of a pool",
    made: later(eks, TYPE.nodeClass),
    breaks: [
      ["spec.blockDeviceMappings.0.ebs.encrypted", false, "encrypted is false"],
      ["spec.blockDeviceMappings", [], "encrypted is not set"],
    ],
    unknown: [["spec.blockDeviceMappings.0.ebs.kmsKeyID", "passes"]],
  },
  {
    policy: rules.disksAtRest,
    of: "volumes of pods",
    made: later(eks, "kubernetes:storage.k8s.io/v1:StorageClass"),
    breaks: [["parameters.encrypted", undefined, "parameters.encrypted is not set"]],
    unknown: [
      ["parameters.encrypted", "refused"],
      ["parameters.kmsKeyId", "passes"],
    ],
  },
  {
    policy: rules.bucketsAtRest,
    made: later(ec2, CONFIGURATION, "replicas-encryption"),
    breaks: [
      [
        "rules.0.applyServerSideEncryptionByDefault.sseAlgorithm",
        "AES256",
        "sseAlgorithm is AES256",
      ],
      [
        "rules.0.applyServerSideEncryptionByDefault.kmsMasterKeyId",
        undefined,
        "kmsMasterKeyId is not set",
      ],
    ],
    unknown: [
      ["rules.0.applyServerSideEncryptionByDefault.sseAlgorithm", "refused"],
      ["rules.0.applyServerSideEncryptionByDefault.kmsMasterKeyId", "passes"],
    ],
  },
  ...(
    [
      ["aws:cloudwatch/logGroup:LogGroup", "kmsKeyId", ec2],
      ["aws:secretsmanager/secret:Secret", "kmsKeyId", ec2],
      ["aws:sqs/queue:Queue", "kmsMasterKeyId", eks],
    ] as const
  ).map(([type, key, stack]) => ({
    policy: rules.othersAtRest,
    of: type,
    made: later(stack, type),
    breaks: [[key, undefined, `${key} is not set`]] as const,
    unknown: [[key, "passes"]] as const,
  })),
  {
    policy: rules.clusterSecrets,
    made: later(eks, TYPE.cluster),
    breaks: [
      ["encryptionConfig", undefined, "encryptionConfig has no key"],
      ["encryptionConfig.resources", [], "encryptionConfig covers no secrets"],
    ],
    unknown: [
      ["encryptionConfig.provider.keyArn", "passes"],
      ["encryptionConfig.resources", "refused"],
    ],
  },
  {
    policy: rules.tlsPolicies,
    of: "a bucket",
    made: later(ec2, TYPE.bucketPolicy),
    breaks: [["policy", '{"Statement":[]}', "policy admits connections without TLS"]],
    unknown: [["policy", "waits"]],
  },
  {
    policy: rules.tlsPolicies,
    of: "a file system",
    made: later(ec2, "aws:efs/fileSystemPolicy:FileSystemPolicy"),
    breaks: [["policy", '{"Statement":[]}', "policy admits connections without TLS"]],
    unknown: [["policy", "waits"]],
  },
  {
    policy: rules.tlsStores,
    of: "the cache",
    made: later(ec2, TYPE.cache),
    breaks: [
      ["transitEncryptionEnabled", false, "transitEncryptionEnabled is false"],
      ["transitEncryptionMode", "preferred", "transitEncryptionMode is preferred"],
    ],
    unknown: [["transitEncryptionMode", "refused"]],
  },
  {
    policy: rules.tlsStores,
    of: "PostgreSQL",
    made: later(ec2, "aws:rds/parameterGroup:ParameterGroup"),
    breaks: [
      ["parameters.0.value", "0", "rds.force_ssl is 0"],
      ["parameters", [], "rds.force_ssl is not set"],
    ],
    unknown: [["parameters.0.value", "refused"]],
  },
  {
    policy: rules.tlsListener,
    of: "TLS",
    made: later(ec2, TYPE.listener, "https"),
    breaks: [
      ["sslPolicy", "ELBSecurityPolicy-2016-08", "sslPolicy is ELBSecurityPolicy-2016-08"],
      ["sslPolicy", undefined, "sslPolicy is not set"],
    ],
    unknown: [
      ["sslPolicy", "refused"],
      ["certificateArn", "passes"],
    ],
  },
  {
    policy: rules.tlsListener,
    of: "plain HTTP in prod",
    made: later(ec2, TYPE.listener, "http"),
    breaks: [["defaultActions.0.type", "forward", "action on plain HTTP is forward"]],
    unknown: [["defaultActions.0.type", "refused"]],
  },
];

export const without = (end: string) => (made: readonly Made[]) =>
  changed(
    made,
    (r) => r.name === end,
    () => null,
  );

/** Cases of whole stacks. */
export const STACKS: readonly StackCase[] = [
  {
    policy: rules.bucketsEncrypted,
    made: ec2,
    previewed: () => stackOf("ec2", "medium", {}, true),
    breaks: [
      {
        what: "a bucket that does not say how it encrypts",
        change: without("team-buckets-chat-logs-encryption"),
        found: "no BucketServerSideEncryptionConfiguration",
        at: "team-buckets-chat-logs",
      },
      {
        what: "a bucket without a policy",
        change: without("team-buckets-replicas-policy"),
        found: "no BucketPolicy",
        at: "team-buckets-replicas",
      },
    ],
  },
  {
    policy: rules.tlsDatabase,
    made: ec2,
    previewed: () => stackOf("ec2", "medium", {}, true),
    breaks: [
      {
        what: "a database with AWS's own parameters",
        change: (made) =>
          changed(
            made,
            (r) => r.type === TYPE.database,
            (r) => ({ ...r, from: { ...r.from, parameterGroupName: [] } }),
          ),
        found: "no parameter group that sets rds.force_ssl",
        at: "team-database-postgres",
      },
    ],
  },
];
