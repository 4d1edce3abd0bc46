import * as rules from "../../policies/one-writer.ts";
import type { ResourceCase, StackCase } from "./cases.ts";
import { shard } from "./runtime.ts";

export const made = () => Promise.resolve(shard());

export const POD = "spec.template.spec";

/** Cases of single resources. */
export const RESOURCES: readonly ResourceCase[] = [
  {
    policy: rules.oneReplica,
    made,
    breaks: [
      ["spec.replicas", 2, "spec.replicas is 2"],
      ["spec.replicas", undefined, "spec.replicas is not set"],
    ],
    unknown: [["spec.replicas", "refused"]],
  },
  {
    policy: rules.grace,
    made,
    breaks: [
      [`${POD}.terminationGracePeriodSeconds`, 329, "terminationGracePeriodSeconds is 329"],
      [`${POD}.terminationGracePeriodSeconds`, undefined, "is not set"],
    ],
    unknown: [[`${POD}.terminationGracePeriodSeconds`, "refused"]],
  },
  {
    policy: rules.fileSystem,
    made,
    breaks: [
      [
        "spec.volumeClaimTemplates.0.spec.accessModes",
        ["ReadWriteMany"],
        "access mode of state is ReadWriteMany",
      ],
      ["spec.volumeClaimTemplates.0.spec.storageClassName", "efs-sc", "class of state is efs-sc"],
      [
        `${POD}.volumes`,
        [{ name: "state", nfs: { server: "x", path: "/" } }],
        "volume state is of kind nfs",
      ],
      [
        `${POD}.volumes`,
        [{ name: "state", csi: { driver: "efs.csi.aws.com" } }],
        "driver of volume state is efs.csi.aws.com",
      ],
    ],
    unknown: [
      ["spec.volumeClaimTemplates.0.spec.storageClassName", "refused"],
      [`${POD}.volumes`, "refused"],
    ],
  },
];

/** Cases of whole stacks. */
export const STACKS: readonly StackCase[] = [];
