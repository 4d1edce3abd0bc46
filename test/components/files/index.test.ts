import { describe, expect, it } from "vitest";
import { PRICED } from "../../../components/files/catalog.ts";
import { Files } from "../../../components/files/index.ts";
import { planFiles } from "../../../components/files/plan.ts";
import { filesSettings } from "../../../components/files/settings.ts";
import { record, settled } from "../../support/pulumi-mocks.ts";
import { EGRESS, EPHEMERAL, INGRESS, KEPT, PLACE, types, untagged } from "../data-fixtures.ts";

const SYSTEM = "aws:efs/fileSystem:FileSystem";
const MOUNT = "aws:efs/mountTarget:MountTarget";

const planned = (backupDays: number) =>
  planFiles({ zones: 3, backupDays, settings: filesSettings.parse({}) });

const built = (context = KEPT) =>
  record(
    () =>
      new Files("prod-files", { ...PLACE, context, plan: planned(context.lifetime.backupDays) }),
  );

describe("Files", () => {
  it("is encrypted under the data key, and moves idle files one policy a block", async () => {
    expect((await built()).one(SYSTEM).inputs).toMatchObject({
      encrypted: true,
      kmsKeyId: PLACE.keyArn,
      throughputMode: "elastic",
      lifecyclePolicies: [
        { transitionToIa: "AFTER_30_DAYS" },
        { transitionToArchive: "AFTER_90_DAYS" },
        { transitionToPrimaryStorageClass: "AFTER_1_ACCESS" },
      ],
    });
  });

  it("has a mount target in every zone, named by it", async () => {
    const recording = await built();
    expect(recording.of(MOUNT).map((r) => [r.name, r.inputs.subnetId])).toEqual([
      ["prod-files-mount-eu-central-1a", "subnet-0a"],
      ["prod-files-mount-eu-central-1b", "subnet-0b"],
      ["prod-files-mount-eu-central-1c", "subnet-0c"],
    ]);
    for (const mount of recording.of(MOUNT)) {
      expect(mount.inputs.securityGroups).toEqual(["prod-files-access-id"]);
    }
  });

  it("gives each use a directory and a user of its own", async () => {
    const recording = await built();
    expect(
      recording.one("aws:efs/accessPoint:AccessPoint", "prod-files-skills").inputs,
    ).toMatchObject({
      posixUser: { uid: 1000, gid: 1000 },
      rootDirectory: {
        path: "/skills",
        creationInfo: { ownerUid: 1000, ownerGid: 1000, permissions: "0755" },
      },
    });
    expect(await settled(recording.value.accessPoints.knowledge)).toBe("prod-files-knowledge-id");
    expect(Object.keys(recording.value.accessPoints)).toEqual(["skills", "knowledge"]);
  });

  it("lets nobody mount without TLS, or as root", async () => {
    const { policy } = (await built()).one("aws:efs/fileSystemPolicy:FileSystemPolicy").inputs;
    const [allow, deny] = JSON.parse(policy).Statement;
    expect(allow.Action).toEqual([
      "elasticfilesystem:ClientMount",
      "elasticfilesystem:ClientWrite",
    ]);
    expect(deny).toMatchObject({
      Effect: "Deny",
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    });
  });

  it("is reached by its clients' groups over NFS alone, and opens nothing itself", async () => {
    const recording = await built();
    expect(recording.of(INGRESS).map((r) => r.inputs)).toEqual([
      expect.objectContaining({
        referencedSecurityGroupId: "sg-0nodes",
        fromPort: 2049,
        toPort: 2049,
      }),
    ]);
    expect(recording.of(EGRESS)).toEqual([]);
  });

  it("is backed up and protected with its environment; else its backups are off, said aloud", async () => {
    const kept = await built();
    expect(kept.one(SYSTEM).options.protect).toBe(true);
    expect(kept.one("aws:efs/backupPolicy:BackupPolicy").inputs.backupPolicy.status).toBe(
      "ENABLED",
    );
    const gone = await built(EPHEMERAL);
    expect(gone.one(SYSTEM).options.protect).toBe(false);
    expect(gone.one("aws:efs/backupPolicy:BackupPolicy").inputs.backupPolicy.status).toBe(
      "DISABLED",
    );
  });

  it("hands out its id only when every zone can mount it", async () => {
    const recording = await built();
    const deps = await (
      recording.value.fileSystemId as unknown as { allResources(): Promise<Set<unknown>> }
    ).allResources();
    expect(deps.size).toBe(1 + recording.of(MOUNT).length);
  });

  it("has a price or a reason for every type, and tags wherever they go", async () => {
    const recording = await built();
    expect(types(recording).filter((type) => !PRICED[type])).toEqual([]);
    expect(
      untagged(recording, [
        MOUNT,
        "aws:efs/backupPolicy:BackupPolicy",
        "aws:efs/fileSystemPolicy:FileSystemPolicy",
      ]),
    ).toEqual([]);
  });
});
