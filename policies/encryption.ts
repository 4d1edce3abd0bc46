import type { ReportViolation } from "@pulumi/policy";
import { TLS_POLICIES } from "./catalog.ts";
import { is, named, refuseUnless, waitUnless, yes } from "./judge.ts";
import { factsOf, type Policy } from "./policy.ts";
import { at, entries, type Fields, items, json, read } from "./read.ts";
import { allOf, fieldsOf, pointsTo, TYPE } from "./resources.ts";

/** Where a type says that it is encrypted, and with which key. */
interface AtRest {
  /** Must be true; left out where AWS always encrypts. */
  readonly flag?: string;
  readonly key: string;
}

const STORES: Readonly<Record<string, AtRest>> = {
  [TYPE.database]: { flag: "storageEncrypted", key: "kmsKeyId" },
  [TYPE.cache]: { flag: "atRestEncryptionEnabled", key: "kmsKeyId" },
  [TYPE.files]: { flag: "encrypted", key: "kmsKeyId" },
  "aws:ebs/volume:Volume": { flag: "encrypted", key: "kmsKeyId" },
};
const OTHERS: Readonly<Record<string, AtRest>> = {
  "aws:cloudwatch/logGroup:LogGroup": { key: "kmsKeyId" },
  "aws:secretsmanager/secret:Secret": { key: "kmsKeyId" },
  "aws:sqs/queue:Queue": { key: "kmsMasterKeyId" },
  "aws:sns/topic:Topic": { key: "kmsMasterKeyId" },
};

const KEY_MAY_BE_UNKNOWN =
  "A key that is not known yet is a key; a flag that is not known is refused.";

function judge(report: ReportViolation, rule: AtRest | undefined, fields: Fields): void {
  if (!rule) return;
  if (rule.flag) refuseUnless(report, rule.flag, at(fields, rule.flag), yes);
  const key = at(fields, rule.key);
  if (!named(key)) report(`${rule.key} is not set: no key of this fleet`);
}

export const storesAtRest: Policy = {
  id: "encryption-stores",
  sentence: "Databases, caches, file systems and volumes are encrypted with a key of the fleet.",
  severity: "mandatory",
  setting: "",
  fix: "turn encryption on and give it the data or compute key; both replace what holds data already",
  unknown: KEY_MAY_BE_UNKNOWN,
  validateResource({ type, props }, report) {
    judge(report, STORES[type], read(props));
  },
};

export const othersAtRest: Policy = {
  id: "encryption-logs-queues-secrets",
  sentence: "Log groups, queues, topics and secrets are encrypted with a key of the fleet.",
  severity: "blocking",
  setting: "",
  fix: "give it the logs, compute or data key",
  unknown: KEY_MAY_BE_UNKNOWN,
  validateResource({ type, props }, report) {
    judge(report, OTHERS[type], read(props));
  },
};

/** Disks of a machine, wherever its type writes them. */
function disksOf(type: string, fields: Fields): readonly (readonly [string, unknown])[] {
  const list = (name: string, value: unknown) =>
    items(value).map((disk, i) => [`${name}[${i}]`, disk] as const);
  switch (type) {
    case TYPE.instance:
      return [
        ["rootBlockDevice", at(fields, "rootBlockDevice") ?? {}],
        ...list("ebsBlockDevices", at(fields, "ebsBlockDevices")),
      ];
    case TYPE.launchTemplate:
      return items(at(fields, "blockDeviceMappings")).map(
        (disk, i) => [`blockDeviceMappings[${i}].ebs`, at(disk, "ebs")] as const,
      );
    case TYPE.nodeClass: {
      const disks = items(at(fields, "spec", "blockDeviceMappings"));
      if (disks.length === 0) return [["spec.blockDeviceMappings", {}]];
      return disks.map(
        (disk, i) => [`spec.blockDeviceMappings[${i}].ebs`, at(disk, "ebs")] as const,
      );
    }
    case "kubernetes:storage.k8s.io/v1:StorageClass":
      return at(fields, "provisioner") === "ebs.csi.aws.com"
        ? [["parameters", at(fields, "parameters") ?? {}]]
        : [];
    default:
      return [];
  }
}

export const disksAtRest: Policy = {
  id: "encryption-disks",
  sentence:
    "Disks of hosts and cluster nodes, and volumes of pods, are encrypted with a key of the fleet.",
  severity: "mandatory",
  setting: "",
  fix: "set encrypted and the compute key on the disk",
  unknown: KEY_MAY_BE_UNKNOWN,
  validateResource({ type, props }, report) {
    for (const [where, disk] of disksOf(type, read(props))) {
      refuseUnless(report, `${where}.encrypted`, at(disk, "encrypted"), yes);
      const key = at(disk, "kmsKeyId") ?? at(disk, "kmsKeyID");
      if (!named(key)) report(`${where}.kmsKeyId is not set: no key of this fleet`);
    }
  },
};

const BUCKET_ENCRYPTION =
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration";

export const bucketsAtRest: Policy = {
  id: "encryption-buckets",
  sentence: "Buckets encrypt with a key of the fleet.",
  severity: "blocking",
  setting: "buckets",
  fix: "set sseAlgorithm aws:kms and the data key; a balancer's log bucket is the one that cannot",
  unknown: KEY_MAY_BE_UNKNOWN,
  validateResource({ type, props }, report) {
    if (type !== BUCKET_ENCRYPTION) return;
    for (const rule of items(at(read(props), "rules"))) {
      const how = at(rule, "applyServerSideEncryptionByDefault");
      refuseUnless(report, "sseAlgorithm", at(how, "sseAlgorithm"), is("aws:kms", "aws:kms:dsse"));
      if (at(how, "sseAlgorithm") === "aws:kms" && !named(at(how, "kmsMasterKeyId")))
        report("kmsMasterKeyId is not set: no key of this fleet");
    }
  },
};

export const bucketsEncrypted: Policy = {
  id: "encryption-bucket-rule",
  sentence: "Every bucket says how it encrypts, and that it is reached by TLS only.",
  severity: "mandatory",
  setting: "buckets",
  fix: "add a BucketServerSideEncryptionConfiguration and a BucketPolicy that denies what comes without TLS",
  unknown: "Both belong to a bucket by what their `bucket` came from.",
  validateStack({ resources }, report) {
    for (const bucket of allOf(resources, TYPE.bucket)) {
      for (const [type, what] of [
        [BUCKET_ENCRYPTION, "BucketServerSideEncryptionConfiguration"],
        [TYPE.bucketPolicy, "BucketPolicy"],
      ] as const) {
        if (!allOf(resources, type).some((one) => pointsTo(one, "bucket", bucket)))
          report(`no ${what}`, bucket.urn);
      }
    }
  },
};

/** Does the policy refuse everybody who comes without TLS, for everything? */
function wantsTls(policy: unknown): boolean {
  return items(at(json(policy), "Statement")).some(
    (statement) =>
      at(statement, "Effect") === "Deny" &&
      [at(statement, "Principal"), at(statement, "Principal", "AWS")].includes("*") &&
      ["*", "s3:*"].includes(`${at(statement, "Action")}`) &&
      `${at(statement, "Condition", "Bool", "aws:SecureTransport")}` === "false",
  );
}

export const tlsPolicies: Policy = {
  id: "encryption-tls-only",
  sentence: "Policies of buckets and file systems refuse what comes without TLS.",
  severity: "mandatory",
  setting: "",
  fix: "deny all actions to all principals where aws:SecureTransport is false",
  unknown: "A policy that is not known waits for up, where it is judged before it is set.",
  validateResource(args, report) {
    const { type, props } = args;
    if (type !== TYPE.bucketPolicy && type !== "aws:efs/fileSystemPolicy:FileSystemPolicy") return;
    const policy = at(read(props), "policy");
    waitUnless(
      args,
      (found, urn) => report(found.replace(/ is .*/s, " admits connections without TLS"), urn),
      "policy",
      policy,
      wantsTls,
    );
  },
};

export const tlsStores: Policy = {
  id: "encryption-transit",
  sentence: "Redis and PostgreSQL talk TLS, and nothing else.",
  severity: "mandatory",
  setting: "",
  fix: "require TLS: transitEncryptionMode required, rds.force_ssl 1, requireTls on a proxy",
  unknown: "Refused: nothing generates these.",
  validateResource({ type, props }, report) {
    const fields = read(props);
    const must = (name: string, ok: (value: unknown) => boolean) =>
      refuseUnless(report, name, at(fields, name), ok);
    if (type === TYPE.cache) {
      must("transitEncryptionEnabled", yes);
      must("transitEncryptionMode", is("required", undefined));
    }
    if (type === "aws:rds/proxy:Proxy") must("requireTls", yes);
    if (
      type === "aws:rds/parameterGroup:ParameterGroup" &&
      /^postgres/.test(`${at(fields, "family")}`)
    ) {
      const ssl = items(at(fields, "parameters")).find((p) => at(p, "name") === "rds.force_ssl");
      refuseUnless(report, "rds.force_ssl", at(ssl, "value"), is("1"));
    }
  },
};

export const tlsDatabase: Policy = {
  id: "encryption-database-parameters",
  sentence: "A database runs with parameters of the fleet, which ask for TLS.",
  severity: "mandatory",
  setting: "database",
  fix: "give it the ParameterGroup that sets rds.force_ssl",
  unknown: "The group is found by what `parameterGroupName` came from.",
  validateStack({ resources }, report) {
    const groups = allOf(resources, "aws:rds/parameterGroup:ParameterGroup");
    for (const database of allOf(resources, TYPE.database)) {
      const own = groups.filter((group) => pointsTo(database, "parameterGroupName", group));
      const forced = own.some((group) =>
        items(at(fieldsOf(group), "parameters")).some((p) => at(p, "name") === "rds.force_ssl"),
      );
      if (!forced) report("no parameter group that sets rds.force_ssl", database.urn);
    }
  },
};

export const tlsListener: Policy = {
  id: "encryption-listener",
  sentence:
    "The balancer talks TLS 1.2 at least; plain HTTP leads there, and in prod nowhere else.",
  severity: "blocking",
  setting: "domain",
  fix: "set domain, so that the edge has a certificate; use one of the TLS 1.3 policies that admit 1.2",
  unknown: "Refused: nothing generates a listener's protocol, policy or kind of action.",
  validateResource(args, report) {
    if (args.type !== TYPE.listener) return;
    const fields = read(args.props);
    const protocol = at(fields, "protocol");
    if (protocol === "HTTPS" || protocol === "TLS") {
      const policy = at(fields, "sslPolicy");
      return refuseUnless(report, "sslPolicy", policy, is(...TLS_POLICIES));
    }
    if (factsOf(args).environment !== "prod") return;
    refuseUnless(report, "protocol", protocol, is("HTTP"));
    for (const action of items(at(fields, "defaultActions")))
      refuseUnless(report, "action on plain HTTP", at(action, "type"), is("redirect"));
  },
};

export const clusterSecrets: Policy = {
  id: "encryption-cluster-secrets",
  sentence: "Secrets of the cluster are encrypted with a key of the fleet.",
  severity: "mandatory",
  setting: "cluster",
  fix: "set encryptionConfig with the compute key for secrets",
  unknown: KEY_MAY_BE_UNKNOWN,
  validateResource({ type, props }, report) {
    if (type !== TYPE.cluster) return;
    const config = at(read(props), "encryptionConfig");
    if (!named(at(config, "provider", "keyArn"))) report("encryptionConfig has no key");
    else if (!items(at(config, "resources")).includes("secrets"))
      report(`encryptionConfig covers ${entries(config).length > 0 ? "no secrets" : "nothing"}`);
  },
};

export const ENCRYPTION: readonly Policy[] = [
  storesAtRest,
  disksAtRest,
  bucketsAtRest,
  bucketsEncrypted,
  othersAtRest,
  clusterSecrets,
  tlsPolicies,
  tlsStores,
  tlsDatabase,
  tlsListener,
];
