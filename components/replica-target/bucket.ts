import type { NodeConfig } from "../../gateway/config.ts";
import { FLEET_USER, type HostContext, type HostPart, OPEN_DIRECTORY } from "../host/types.ts";

/** A bucket of S3, or of what speaks like it, that keeps the replicas of a fleet's shards. */
export interface ReplicaBucket {
  readonly bucket: string;
  readonly region: string;
  /** Another S3 than Amazon's. */
  readonly endpoint?: string | undefined;
  /** Before every key; ends in `/`. @default the fleet's name and `/` */
  readonly prefix?: string | undefined;
  readonly accessKeyId: string;
  /** A mark, never the secret itself. */
  readonly secretAccessKey: string;
}

const credentialsOf = ({ paths }: Pick<HostContext, "paths">) =>
  `${paths.etc}/replicas/bucket.json`;

/** What node.json says of it. */
export function bucketReplication(
  context: HostContext,
  { bucket, region, endpoint, prefix = `${context.fleet}/` }: ReplicaBucket,
): NonNullable<NodeConfig["replication"]> {
  return {
    target: {
      kind: "s3",
      bucket,
      region,
      prefix,
      ...(endpoint === undefined ? {} : { endpoint }),
      credentialsFile: credentialsOf(context),
    },
  };
}

/** What lets a host that runs shards into the bucket; followed by the running node. */
export function planBucketAccess(
  context: HostContext,
  { accessKeyId, secretAccessKey }: ReplicaBucket,
): HostPart {
  const path = credentialsOf(context);
  return {
    directories: {
      [context.paths.etc]: OPEN_DIRECTORY,
      [path.slice(0, path.lastIndexOf("/"))]: OPEN_DIRECTORY,
    },
    files: {
      [path]: {
        content: `${JSON.stringify({ accessKeyId, secretAccessKey }, null, 2)}\n`,
        owner: FLEET_USER,
        group: FLEET_USER,
        mode: "0600",
        format: "json",
      },
    },
  };
}
