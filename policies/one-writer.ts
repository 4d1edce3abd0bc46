import { FRONT } from "../gateway/contract.ts";
import { LABEL } from "../gateway/labels.ts";
import { atLeast, is, refuseUnless } from "./judge.ts";
import { podOf, WORKLOADS } from "./pods.ts";
import type { Policy } from "./policy.ts";
import { at, items, read, shown, UNKNOWN } from "./read.ts";
import { fieldsOf, meta } from "./resources.ts";

/** All that a stop may take, seconds: turns under way, the last sync, the release. */
const GRACE_SECONDS = FRONT.drainMs / 1000;

/** The shard that a workload owns: by its label, or by its pod's. */
function shardOf(type: string, fields: unknown): unknown {
  if (!WORKLOADS.includes(type)) return undefined;
  const labels = (owner: unknown) => at(owner, "metadata", "labels", LABEL.shard);
  return labels(fields) ?? labels(podOf(type, fields));
}

export const oneReplica: Policy = {
  id: "one-writer-replicas",
  sentence:
    "A workload that owns a shard is one pod, and a new one starts only after the old one has ended.",
  severity: "mandatory",
  setting: "shards",
  fix: "make it a StatefulSet of 1 replica; more shards, not more replicas, carry more users",
  unknown: "Refused: a second writer destroys conversations, so nothing about it may be generated.",
  validateResource({ type, props }, report) {
    const fields = read(props);
    if (shardOf(type, fields) === undefined) return;
    if (/:(DaemonSet|ReplicaSet|Job|CronJob)$/.test(type))
      report(`a ${type.split(":").at(-1)} owns the shard`);
    if (/:(Deployment|StatefulSet)$/.test(type))
      refuseUnless(report, "spec.replicas", at(fields, "spec", "replicas"), is(1, 0));
    if (type.endsWith(":Deployment"))
      refuseUnless(
        report,
        "spec.strategy.type",
        at(fields, "spec", "strategy", "type"),
        is("Recreate"),
      );
  },
};

export const grace: Policy = {
  id: "one-writer-grace",
  sentence: `A gateway's pod gets ${GRACE_SECONDS} s to end its turns, write its state away and give its shard back.`,
  severity: "mandatory",
  setting: "turnBudgetSeconds",
  fix: `set terminationGracePeriodSeconds to ${GRACE_SECONDS} or more`,
  unknown: "Refused: nothing generates this.",
  validateResource({ type, props }, report) {
    const fields = read(props);
    if (shardOf(type, fields) === undefined) return;
    const seconds = at(podOf(type, fields), "spec", "terminationGracePeriodSeconds");
    refuseUnless(report, "terminationGracePeriodSeconds", seconds, atLeast(GRACE_SECONDS));
  },
};

/** Volumes that several machines share: SQLite's locks do not hold on them. */
const SHARED = ["nfs", "cephfs", "glusterfs", "azureFile"];
const SHARED_NAME = /efs|nfs|smb|cifs|fsx|s3|lustre|ceph|azurefile/i;

export const fileSystem: Policy = {
  id: "one-writer-file-system",
  sentence: "A shard's state lies on a disk of its own, where SQLite's locks hold.",
  severity: "mandatory",
  setting: "",
  fix: "use a volume of the fleet's StorageClass (a disk, ReadWriteOnce); files for all agents go to EFS",
  unknown: "Refused: a class or driver that is not known could be a shared one.",
  validateResource({ type, props }, report) {
    const fields = read(props);
    if (shardOf(type, fields) === undefined) return;
    const volumes = at(podOf(type, fields), "spec", "volumes");
    const own = (name: unknown) => !SHARED_NAME.test(`${name ?? ""}`);
    for (const volume of items(volumes)) {
      const name = shown(at(volume, "name"));
      if (volume === UNKNOWN) report("its volumes are not known before up");
      // What agents read is mounted read-only, and no database lies there.
      if (readOnly(type, fields, at(volume, "name"))) continue;
      for (const kind of SHARED)
        if (at(volume, kind) !== undefined) report(`volume ${name} is of kind ${kind}`);
      const driver = at(volume, "csi", "driver");
      if (driver !== undefined) refuseUnless(report, `driver of volume ${name}`, driver, own);
    }
    for (const claim of items(at(fields, "spec", "volumeClaimTemplates"))) {
      const name = shown(meta(claim as Record<string, unknown>, "name"));
      const modes = items(at(claim, "spec", "accessModes"));
      for (const mode of modes)
        refuseUnless(
          report,
          `access mode of ${name}`,
          mode,
          is("ReadWriteOnce", "ReadWriteOncePod"),
        );
      refuseUnless(report, `class of ${name}`, at(claim, "spec", "storageClassName"), own);
    }
  },
};

/** Is the volume mounted read-only wherever it is? */
function readOnly(type: string, fields: unknown, volume: unknown): boolean {
  const containers = items(at(podOf(type, fields), "spec", "containers"));
  const mounts = containers
    .flatMap((container) => items(at(container, "volumeMounts")))
    .filter((mount) => at(mount, "name") === volume);
  return mounts.length > 0 && mounts.every((mount) => at(mount, "readOnly") === true);
}

export const ownState: Policy = {
  id: "one-writer-state",
  sentence: "No two workloads own the same shard, the same volume or the same folder of state.",
  severity: "mandatory",
  setting: "shards",
  fix: "give each its own; a shard moves by its lease and never by a second copy",
  unknown:
    "What is not known is compared with nothing here; the shard's lease decides at run time.",
  validateStack({ resources }, report) {
    const owners = new Map<string, string>();
    const claim = (what: string, value: unknown, urn: string, name: string) => {
      if (value === undefined || value === UNKNOWN) return;
      const key = `${what} ${shown(value)}`;
      const other = owners.get(key);
      if (other) report(`${name} and ${other} share ${key}`, urn);
      else owners.set(key, name);
    };
    for (const { type, name, urn, ...resource } of resources) {
      const fields = fieldsOf(resource);
      const space = shown(meta(fields, "namespace"));
      const shard = shardOf(type, fields);
      if (shard !== undefined) {
        claim(`shard (namespace ${space})`, shard, urn, name);
        for (const volume of items(at(podOf(type, fields), "spec", "volumes")))
          if (!readOnly(type, fields, at(volume, "name")))
            claim(
              `claim (namespace ${space})`,
              at(volume, "persistentVolumeClaim", "claimName"),
              urn,
              name,
            );
      }
      if (type === "openclaw:index:Fleet") claim("folder", at(fields, "dataDir"), urn, name);
      if (type === "openclaw:index:Node")
        claim(`node in ${shown(at(fields, "dataDir"))}`, at(fields, "node"), urn, name);
    }
  },
};

export const ONE_WRITER: readonly Policy[] = [oneReplica, grace, fileSystem, ownState];
