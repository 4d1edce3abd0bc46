import { textAt, valuesAt } from "../world.ts";
import { keyRef } from "./keys-logs.ts";
import { arn, arnOf, idFrom, need, present, ref } from "./parts.ts";
import { groupNeed } from "./security-groups.ts";
import type { Rules } from "./types.ts";

const SUBNET = "aws:ec2/subnet:Subnet";
const FILES = "aws:efs/fileSystem:FileSystem";

export const FILES_RULES: Rules = {
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
