import type { PricedBy, PriceTable } from "../cost.ts";

/** NFS, which EFS speaks. */
export const NFS_PORT = 2049;

/** What the file system is for, each with an access point and a directory of its own. */
export const FILE_USES = ["skills", "knowledge"] as const;
export type FileUse = (typeof FILE_USES)[number];

/** User and group of everything below an access point, whoever mounts it. */
export const FILE_OWNER = { uid: 1000, gid: 1000 } as const;

/** Days after which an untouched file is moved, as EFS writes them. Source: terraform-provider-aws, efs file_system. */
export const IDLE_DAYS = [1, 7, 14, 30, 60, 90, 180, 270, 365] as const;
/** Days before EFS archives a file at the earliest; the archive wants elastic throughput. */
export const MIN_ARCHIVE_DAYS = 90;

/** Part of the stored that is read in a month, and written, percent. Assumptions for shared read-mostly files. */
export const READ_PERCENT = 200;
export const WRITE_PERCENT = 20;
/** Most that is stored at the cheaper class is unread for a month. An assumption. */
export const IDLE_PERCENT = 60;

export type FilesPrice = "gbMonth" | "idleGbMonth" | "readGb" | "writtenGb" | "backupGbMonth";

export const FILES_PRICES: PriceTable<FilesPrice> = {
  date: "2026-11-21",
  source: "aws.amazon.com/efs/pricing, aws.amazon.com/backup/pricing; from memory, to be checked",
  regions: {
    "us-east-1": {
      gbMonth: 0.3,
      idleGbMonth: 0.016,
      readGb: 0.03,
      writtenGb: 0.06,
      backupGbMonth: 0.05,
    },
    "eu-central-1": {
      gbMonth: 0.36,
      idleGbMonth: 0.0192,
      readGb: 0.04,
      writtenGb: 0.07,
      backupGbMonth: 0.06,
    },
    "eu-west-1": {
      gbMonth: 0.33,
      idleGbMonth: 0.0176,
      readGb: 0.03,
      writtenGb: 0.07,
      backupGbMonth: 0.055,
    },
  },
};

/** Names of the tier's cost lines. */
export const FILES_LINES = {
  stored: "shared files stored",
  idle: "shared files untouched for a month",
  read: "shared files read",
  written: "shared files written",
  backups: "shared files' backups",
} as const;

const FREE = { free: "AWS does not charge for it" };

/** How every type of resource that the component makes is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:efs/fileSystem:FileSystem": {
    lines: [FILES_LINES.stored, FILES_LINES.idle, FILES_LINES.read, FILES_LINES.written],
  },
  "aws:efs/backupPolicy:BackupPolicy": { lines: [FILES_LINES.backups] },
  "aws:efs/mountTarget:MountTarget": FREE,
  "aws:efs/accessPoint:AccessPoint": FREE,
  "aws:efs/fileSystemPolicy:FileSystemPolicy": FREE,
  "aws:ec2/securityGroup:SecurityGroup": FREE,
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": FREE,
};
