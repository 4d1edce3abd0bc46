import { FLEET_NAME_MAX } from "../../components/context.ts";
import type { Fault } from "../../components/errors.ts";

/** Characters that every type on AWS takes in a name: others are refused by one or another. */
const NAME = /^[a-z][a-z0-9-]*[a-z0-9]$/;

/**
 * Beginnings that AWS keeps for itself, with whose names they are. A name made of the stack's goes on
 * after it with a dash.
 */
const KEPT: readonly { readonly beginning: RegExp; readonly of: string }[] = [
  // docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
  { beginning: /^internal(-|$)/, of: "load balancers" },
  // docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
  { beginning: /^sg(-|$)/, of: "security groups" },
  // docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
  { beginning: /^(sthree|amzn-s3-demo)(-|$)/, of: "buckets" },
];

/** What keeps `stack` from naming what a fleet on AWS consists of. */
export function nameFaults(stack: string): Fault[] {
  const fault = (problem: string, remedy: string): Fault[] => [
    { setting: "", problem: `the stack is called ${stack}, and ${problem}`, remedy },
  ];
  if (stack.length > FLEET_NAME_MAX || !NAME.test(stack) || stack.includes("--")) {
    return fault(
      "names on AWS begin with it",
      `Call it by 2 to ${FLEET_NAME_MAX} lower-case letters, digits and single dashes, beginning with a letter`,
    );
  }
  const kept = KEPT.find(({ beginning }) => beginning.test(stack));
  return kept
    ? fault(`AWS keeps that beginning of the names of ${kept.of} for itself`, "Call it otherwise")
    : [];
}

/** Tags of a person's own: AWS takes 50 on a resource, and the fleet, EKS, Karpenter and the disks' driver add up to 16. */
export const TAGS_MAX = 34;
const KEY_MAX = 128;
const VALUE_MAX = 256;

/** What all services take; some take more. Source: docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html. */
const TEXT = /^[\p{L}\p{N}\p{Zs}_.:/=+@-]*$/u;

/** Keys of others: AWS refuses the first, Karpenter, the CNI and the disks' driver the rest. */
const OTHERS =
  /^(aws:|eks:|kubernetes\.io\/|([\w.]+\.)?k8s\.(aws|amazonaws\.com)\/|karpenter\.|ebs\.csi\.aws\.com\/|CSIVolumeName$)/i;
const OWN = /^(Name|openclaw-fleet(-environment|-expires)?)$/i;

/** What is wrong with `tags` on AWS, tag by tag. */
export function tagFaults(tags: Readonly<Record<string, string>>): Fault[] {
  const entries = Object.entries(tags);
  const faults: Fault[] = [];
  if (entries.length > TAGS_MAX) {
    faults.push({
      setting: "tags",
      problem: `has ${entries.length} tags, and ${TAGS_MAX} fit beside those that every resource gets`,
      remedy: "Leave some out",
    });
  }
  const seen = new Map<string, string>();
  for (const [key, value] of entries) {
    const setting = `tags.${key}`;
    const said = (problem: string, remedy: string) => faults.push({ setting, problem, remedy });
    if (key === "" || key.length > KEY_MAX || value.length > VALUE_MAX) {
      said(
        `has a key of ${key.length} and a value of ${value.length} characters`,
        `Keep the key within 1 to ${KEY_MAX} and the value within ${VALUE_MAX}`,
      );
    } else if (!TEXT.test(key) || !TEXT.test(value)) {
      said(
        `is ${JSON.stringify(value)}, and a tag is letters, digits, spaces and _ . : / = + - @`,
        "Write it with these",
      );
    } else if (OTHERS.test(key)) {
      said("begins as tags of AWS or Kubernetes do", "Give it another key");
    } else if (OWN.test(key)) {
      said("is set by the fleet itself on everything", "Leave it out or give it another key");
    }
    // To IAM, keys that differ in case only are one.
    const twin = seen.get(key.toLowerCase());
    if (twin !== undefined) said(`differs from ${twin} in case only`, "Leave one of them out");
    seen.set(key.toLowerCase(), key);
  }
  return faults;
}
