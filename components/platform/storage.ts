import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { STORAGE_CLASS } from "./catalog.ts";

/**
 * Volumes of the cluster: gp3, encrypted with the fleet's key, made in the zone in which their pod
 * starts. Tags stand here because the provider's own do not reach volumes that the driver makes.
 * Parameters of a StorageClass cannot be changed: it is replaced, volumes stay as they are.
 * Source: github.com/kubernetes-sigs/aws-ebs-csi-driver docs/parameters.md, checked 2026-11-21.
 */
export function storageClass(
  name: string,
  args: { readonly keyArn: pulumi.Input<string>; readonly tags: Readonly<Record<string, string>> },
  opts: pulumi.CustomResourceOptions,
): k8s.storage.v1.StorageClass {
  const tags = Object.entries(args.tags).map(
    ([key, value], i) => [`tagSpecification_${i + 1}`, `${key}=${value}`] as const,
  );
  return new k8s.storage.v1.StorageClass(
    name,
    {
      metadata: {
        name: STORAGE_CLASS,
        annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
      },
      provisioner: "ebs.csi.aws.com",
      parameters: {
        type: "gp3",
        encrypted: "true",
        kmsKeyId: args.keyArn,
        "csi.storage.k8s.io/fstype": "ext4",
        ...Object.fromEntries(tags),
      },
      allowVolumeExpansion: true,
      reclaimPolicy: "Delete",
      volumeBindingMode: "WaitForFirstConsumer",
    },
    { ...opts, deleteBeforeReplace: true },
  );
}
