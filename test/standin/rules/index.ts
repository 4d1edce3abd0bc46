import { BALANCER_RULES } from "./balancer.ts";
import { CACHE_RULES } from "./cache.ts";
import { COMPUTE } from "./compute.ts";
import { DATABASE_RULES } from "./database.ts";
import { EKS } from "./eks.ts";
import { busyRole, EKS_ACCESS } from "./eks-access.ts";
import { FILES_RULES } from "./files.ts";
import { FIREWALL } from "./firewall.ts";
import { FLEET } from "./fleet.ts";
import { GONE } from "./gone.ts";
import { RELEASE, RELEASE_RULE } from "./helm.ts";
import { IAM } from "./iam.ts";
import { INTERFACES } from "./interfaces.ts";
import { KEYS_LOGS } from "./keys-logs.ts";
import { kubernetesRule } from "./kubernetes.ts";
import { NAMES } from "./names.ts";
import { NETWORK } from "./network.ts";
import { RANDOM } from "./random.ts";
import { S3 } from "./s3.ts";
import { SECURITY_GROUPS } from "./security-groups.ts";
import { SMALL } from "./small.ts";
import { Refusal, type Rule, type Rules } from "./types.ts";

/** A controller's rights stay until its work is done. */
function withBusyRoles(type: string): Rules {
  return {
    [type]: {
      ...(IAM[type] as Rule),
      refusesDelete: (row, world) => busyRole(row.inputs.role, world),
    },
  };
}

/** Every type that is no Kubernetes object, whose kinds have rules of their own. */
export const RULES: Rules = {
  ...NETWORK,
  ...SECURITY_GROUPS,
  ...IAM,
  ...KEYS_LOGS,
  ...S3,
  ...CACHE_RULES,
  ...DATABASE_RULES,
  ...FILES_RULES,
  ...BALANCER_RULES,
  ...NAMES,
  ...FIREWALL,
  ...EKS,
  ...EKS_ACCESS,
  ...withBusyRoles("aws:iam/rolePolicy:RolePolicy"),
  ...withBusyRoles("aws:iam/rolePolicyAttachment:RolePolicyAttachment"),
  ...COMPUTE,
  ...INTERFACES,
  ...SMALL,
  ...RANDOM,
  ...GONE,
  ...FLEET,
  [RELEASE]: RELEASE_RULE,
};

const kinds = new Map<string, Rule | null>();

/** The rule of a type; a type without one is refused. */
export function ruleOf(type: string): Rule {
  const rule = RULES[type] ?? (type.startsWith("kubernetes:") ? kindRule(type) : null);
  if (!rule) {
    const where = type.startsWith("kubernetes:") ? "kubernetes.ts or charts.ts" : "a table";
    throw new Refusal(
      `the stand-in has no rule for ${type}: add a row to ${where} in test/standin/rules`,
    );
  }
  return rule;
}

function kindRule(type: string): Rule | null {
  if (!kinds.has(type)) kinds.set(type, kubernetesRule(type));
  return kinds.get(type) ?? null;
}
