import { z } from "zod";

/** Points in time that stay at the target, beside the newest ten. Changing it acts at the next collecting. */
const keep = z.strictObject({
  /** One a minute, for so many hours. */
  minutesForHours: z.number().int().nonnegative().default(1),
  /** One an hour, for so many days. */
  hoursForDays: z.number().int().nonnegative().default(1),
  /** One a day, for so many days. */
  daysForDays: z.number().int().nonnegative().default(30),
});
export type KeepSettings = z.infer<typeof keep>;

const directory = z.strictObject({
  kind: z.literal("directory"),
  /** Another disk, or a mount with hard links that every node sees. A folder a shard is made in it. */
  path: z.string().startsWith("/"),
});

const sftp = z.strictObject({
  kind: z.literal("sftp"),
  /**
   * Every host that keeps replicas, this one included: node id to address; or the JSON file that says it, which is read
   * again when it changes.
   */
  hosts: z.union([z.record(z.string(), z.string()), z.string().startsWith("/")]),
  port: z.number().int().min(1).max(65_535),
  user: z.string(),
  /** Private key of this node; a file that only its user may read. */
  identityFile: z.string(),
  /** Keys of the hosts' replica servers, in OpenSSH's form. */
  knownHostsFile: z.string(),
  /** Folder on each of them, as its SFTP server names it. */
  folder: z.string().startsWith("/"),
});

const s3 = z.strictObject({
  kind: z.literal("s3"),
  bucket: z.string(),
  /** Before every key; ends in `/` unless empty. */
  prefix: z
    .string()
    .regex(/^(|([A-Za-z0-9._-]+\/)+)$/)
    .default(""),
  region: z.string(),
  /** Another S3 than Amazon's, e.g. `https://minio.example.org`; the bucket is then part of the path. */
  endpoint: z.url().optional(),
  /**
   * JSON file with `accessKeyId`, `secretAccessKey` and perhaps `sessionToken`, read again when it changes. Missing: the
   * environment, else what the machine or the pod is given by AWS.
   */
  credentialsFile: z.string().optional(),
});

/** `replication` of node.json: where the replicas of this node's shards go. */
export const replicationConfig = z.strictObject({
  target: z.discriminatedUnion("kind", [directory, sftp, s3]),
  /** Bytes a second that this node sends at most, all shards together. @default no limit */
  bytesPerSecond: z.number().int().positive().optional(),
  keep: keep.optional(),
});
export type ReplicationConfig = z.infer<typeof replicationConfig>;
export type SftpTargetConfig = z.infer<typeof sftp>;
export type S3TargetConfig = z.infer<typeof s3>;
