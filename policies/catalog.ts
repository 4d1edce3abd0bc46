/**
 * Facts that policies judge by, with the day they were checked. Where a component's catalog knows the
 * same, test/policies/catalog.test.ts holds the two together.
 */
export const CHECKED = "2026-11-21";

/**
 * Policies of listeners that admit TLS 1.2 and 1.3 only.
 * Source: docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
 */
export const TLS_POLICIES: readonly string[] = [
  "ELBSecurityPolicy-TLS13-1-2-2021-06",
  "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
  "ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06",
  "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06",
  "ELBSecurityPolicy-TLS13-1-3-2021-06",
  "ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04",
  "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04",
  "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
];

/**
 * Managed policies that a node of a cluster needs to join, to pull images and to be managed.
 * Source: docs.aws.amazon.com/eks/latest/userguide/create-node-role.html
 */
export const NODE_POLICIES: readonly string[] = [
  "AmazonEKSWorkerNodePolicy",
  "AmazonEC2ContainerRegistryPullOnly",
  "AmazonSSMManagedInstanceCore",
];

/** Last day of an engine's standard support, ISO. `null`: not announced yet. */
export type SupportTable = Readonly<Record<string, string | null>>;

/** Source: docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html; 1.36's date is not verified. */
export const KUBERNETES_UNTIL: SupportTable = {
  "1.33": "2026-07-29",
  "1.34": "2026-12-02",
  "1.35": "2027-03-27",
  "1.36": null,
};
/** Source: docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/postgresql-release-calendar.html; from memory, to be checked. */
export const POSTGRES_UNTIL: SupportTable = {
  "13": "2026-02-28",
  "14": "2027-02-28",
  "15": "2028-02-29",
  "16": "2029-02-28",
  "17": "2030-02-28",
  "18": null,
};
/** Source: docs.aws.amazon.com/AmazonElastiCache/latest/dg/engine-versions.html */
export const VALKEY_UNTIL: SupportTable = { "7": null, "8": null, "9": null };

/** Families of machines that presets use. Others are allowed by `policies.instanceFamilies`. */
export const INSTANCE_FAMILIES: readonly string[] = [
  "t4g",
  "t3",
  "c7g",
  "c7i",
  "m7g",
  "m7i",
  "r7g",
  "r7i",
  "g4dn",
  "g5",
  "g6",
  "g6e",
];

/** Tags that every taggable resource carries, beside those of the stack's own setting. */
export const FLEET_TAG = "openclaw-fleet";
export const ENVIRONMENT_TAG = "openclaw-fleet-environment";
