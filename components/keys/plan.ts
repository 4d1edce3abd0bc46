import { type CostLine, pricesOf, type Tier } from "../cost.ts";
import { ConfigError, type Fault } from "../errors.ts";
import { PRICES, REQUESTS, SERVICE_ROLES, type ServiceRole } from "./catalog.ts";

/** One key each: `compute` disks and cluster secrets, `data` stores and backups, `logs` log groups and alerts. */
export const KEY_DOMAINS = ["compute", "data", "logs"] as const;
export type KeyDomain = (typeof KEY_DOMAINS)[number];

export interface KeysNeed {
  /** `aws.accountId`. */
  readonly accountId: string;
  /** A cluster's node group starts machines through Auto Scaling, and Karpenter hears of interruptions through a queue. */
  readonly kubernetes: boolean;
  /** Some machines are spot ones. */
  readonly spot: boolean;
  /** Roles that the account has, from `lookUpServiceRoles`. */
  readonly serviceRoles: readonly ServiceRole[];
}

export interface KeysPlan {
  /** Roles that the key of disks names. */
  readonly serviceRoles: readonly ServiceRole[];
  /** EventBridge writes to a queue encrypted with the key of disks. */
  readonly interruptionQueue: boolean;
}

/**
 * Who besides the account itself may use which key. KMS refuses a policy that names a role which is not
 * there, so a missing one is an error here. Throws ConfigError with all that are missing.
 */
export function planKeys({ accountId, kubernetes, spot, serviceRoles }: KeysNeed): KeysPlan {
  const wanted: ServiceRole[] = [
    ...(kubernetes ? (["autoScaling"] as const) : []),
    ...(spot ? (["spot"] as const) : []),
  ];
  const missing = wanted.filter((role) => !serviceRoles.includes(role));
  if (missing.length > 0) {
    throw new ConfigError(
      missing.map((name): Fault => {
        const { role, service, use } = SERVICE_ROLES[name];
        return {
          setting: "aws.accountId",
          problem: `is ${accountId}, an account without the role ${role}: ${use}`,
          remedy: `Make it once: aws iam create-service-linked-role --aws-service-name ${service}`,
        };
      }),
    );
  }
  return { serviceRoles: wanted, interruptionQueue: kubernetes };
}

/** The keys' row of `fleet plan`. */
export function tierKeys({ users }: { users: number }, region: string): Tier {
  const price = pricesOf(PRICES, region);
  const requests = REQUESTS.base + REQUESTS.perUser * users;
  const costs: CostLine[] = price
    ? [
        {
          what: "KMS keys",
          quantity: KEY_DOMAINS.length,
          unit: "key-month",
          priceUsd: price.keyMonth,
        },
        {
          what: "KMS requests",
          quantity: requests / 10_000,
          unit: "10,000 requests",
          priceUsd: price.requests10k,
        },
      ]
    : [];
  return {
    tier: "keys",
    size: `KMS keys: ${KEY_DOMAINS.join(", ")}`,
    count: KEY_DOMAINS.length,
    // Each of the first two turns of a key adds a dollar a month to it.
    why: "one a domain, turned every year, which makes each a dollar dearer in the first two",
    survives: "the loss of a zone; deleted ones can be had back for some days",
    costs,
  };
}
