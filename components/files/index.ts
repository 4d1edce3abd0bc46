import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { type Clients, storeGroup } from "../store-access.ts";
import { FILE_OWNER, type FileUse, NFS_PORT } from "./catalog.ts";
import type { FilesPlan } from "./plan.ts";

export interface FilesArgs {
  readonly context: AwsContext;
  /** Uses and lifecycle, from `planFiles`. */
  readonly plan: FilesPlan;
  readonly vpcId: pulumi.Input<string>;
  /** Isolated subnets in the order of `context.zones`; each gets a mount target. */
  readonly dataSubnetIds: readonly pulumi.Input<string>[];
  /** KMS key of the files. A change replaces the file system. */
  readonly keyArn: pulumi.Input<string>;
  /** Who may mount; everybody else is refused. */
  readonly clientSecurityGroupIds: Clients;
}

/**
 * EFS for files that all nodes read and few people write: skills and knowledge.
 *
 * Never for a live database, and so never for a shard's state. SQLite in WAL mode keeps its index in
 * memory shared between processes of one machine, which two machines on NFS do not share: both would
 * write. Its locks become NFS locks, which a client that was cut off still believes to hold after the
 * server gave them away. And each commit waits for a network round trip. A shard's state is on its
 * node's own disk and in the replicas' bucket.
 */
export class Files extends pulumi.ComponentResource {
  readonly fileSystemId: pulumi.Output<string>;
  /** Id of the access point of each use; known once every zone can mount it. */
  readonly accessPoints: Readonly<Record<FileUse, pulumi.Output<string>>>;
  readonly securityGroupId: pulumi.Output<string>;

  constructor(name: string, args: FilesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:data:Files", name, {}, opts);
    const { context, plan } = args;
    const child = { parent: this };
    const tags = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });

    const group = storeGroup(
      `${name}-access`,
      {
        vpcId: args.vpcId,
        description: `EFS of ${context.fleet}`,
        port: NFS_PORT,
        clients: args.clientSecurityGroupIds,
        tags: context.tags,
      },
      child,
    );
    const system = new aws.efs.FileSystem(
      `${name}-efs`,
      {
        encrypted: true,
        kmsKeyId: args.keyArn,
        performanceMode: "generalPurpose",
        throughputMode: "elastic", // paid by use; the archive class wants it
        lifecyclePolicies: [
          { transitionToIa: plan.idle },
          { transitionToArchive: plan.archive },
          { transitionToPrimaryStorageClass: "AFTER_1_ACCESS" },
        ],
        tags: tags("efs"),
      },
      { ...child, protect: context.lifetime.protect },
    );
    const policy = new aws.efs.FileSystemPolicy(
      `${name}-policy`,
      {
        fileSystemId: system.id,
        policy: pulumi.jsonStringify({
          Version: "2012-10-17",
          Statement: [
            {
              Sid: "MountFromTheNetwork",
              Effect: "Allow",
              Principal: { AWS: "*" },
              Action: ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
              Resource: system.arn,
              Condition: { Bool: { "elasticfilesystem:AccessedViaMountTarget": "true" } },
            },
            {
              Sid: "EncryptedOnTheWire",
              Effect: "Deny",
              Principal: { AWS: "*" },
              Action: "*",
              Resource: system.arn,
              Condition: { Bool: { "aws:SecureTransport": "false" } },
            },
          ],
        }),
      },
      child,
    );
    // Said either way: EFS's own backups stay in AWS Backup's vault when the file system goes.
    new aws.efs.BackupPolicy(
      `${name}-backup`,
      {
        fileSystemId: system.id,
        backupPolicy: { status: plan.backup ? "ENABLED" : "DISABLED" },
      },
      child,
    );
    const mounts = context.zones.map(
      (zone, i) =>
        new aws.efs.MountTarget(
          `${name}-mount-${zone.name}`,
          {
            fileSystemId: system.id,
            subnetId: args.dataSubnetIds[i] as pulumi.Input<string>,
            securityGroups: [group.id],
          },
          { ...child, dependsOn: policy },
        ),
    );
    const mountable = pulumi.all(mounts.map((mount) => mount.id));
    const point = (use: FileUse) =>
      new aws.efs.AccessPoint(
        `${name}-${use}`,
        {
          fileSystemId: system.id,
          posixUser: FILE_OWNER,
          rootDirectory: {
            path: `/${use}`,
            creationInfo: {
              ownerUid: FILE_OWNER.uid,
              ownerGid: FILE_OWNER.gid,
              permissions: "0755",
            },
          },
          tags: tags(use),
        },
        child,
      );
    const ids = plan.uses.map((use) => {
      const id = pulumi.all([point(use).id, mountable]).apply(([one]) => one);
      return [use, id] as const;
    });
    this.fileSystemId = pulumi.all([system.id, mountable]).apply(([id]) => id);
    this.accessPoints = Object.fromEntries(ids) as Record<FileUse, pulumi.Output<string>>;
    this.securityGroupId = group.id;
    this.registerOutputs({
      fileSystemId: this.fileSystemId,
      accessPoints: this.accessPoints,
      securityGroupId: this.securityGroupId,
    });
  }
}
