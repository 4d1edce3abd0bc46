import type { PricedBy, PriceTable } from "../cost.ts";

/** Roles of AWS services that a key must name, since their own policies know nothing of our keys.
 *  Source: docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html and
 *  docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html, checked 2026-11-21 */
export const SERVICE_ROLES = {
  autoScaling: {
    service: "autoscaling.amazonaws.com",
    role: "AWSServiceRoleForAutoScaling",
    use: "the cluster's node group could not start machines with encrypted disks",
  },
  spot: {
    service: "spot.amazonaws.com",
    role: "AWSServiceRoleForEC2Spot",
    use: "spot machines with encrypted disks could not start",
  },
} as const;
export type ServiceRole = keyof typeof SERVICE_ROLES;

/** Days that AWS takes between a wish to delete a key and its end.
 *  Source: docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html, checked 2026-11-21 */
export const RECOVERY_DAYS = { min: 7, max: 30 } as const;

/**
 * Calls to KMS that a plan's cost reckons with, a month. An estimate, not measured: objects go by data
 * keys of their bucket and volumes ask once, so it is secrets, log groups and starts of machines.
 */
export const REQUESTS = { base: 50_000, perUser: 500 } as const;

/** US dollars. The same in every region of a table. */
export const PRICES: PriceTable<"keyMonth" | "requests10k"> = {
  date: "2026-11-21",
  source: "aws.amazon.com/kms/pricing; from memory, to be checked",
  regions: {
    "us-east-1": { keyMonth: 1, requests10k: 0.03 },
    "eu-central-1": { keyMonth: 1, requests10k: 0.03 },
    "eu-west-1": { keyMonth: 1, requests10k: 0.03 },
  },
};

/** How each type that the component registers is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:kms/key:Key": { lines: ["KMS keys", "KMS requests"] },
  "aws:kms/alias:Alias": { free: "an alias costs nothing" },
};
