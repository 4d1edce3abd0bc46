import { valuesAt } from "../world.ts";
import { arn, arnOf, joined, need, notJson, parsed, ref } from "./parts.ts";
import type { Made, Rules } from "./types.ts";

export const ROLE = "aws:iam/role:Role";
const POLICY = "aws:iam/policy:Policy";
const USER = "aws:iam/user:User";
const NAME = /^[\w+=,.@-]+$/;

const iamArn = (made: Made, kind: string, name: unknown) =>
  arnOf(made, "iam", `${kind}${made.inputs.path ?? "/"}${name}`, true);

/** AWS's own policies; `aws-eks` and the like are service roles' paths. */
const AWS_MANAGED = /^arn:aws[\w-]*:iam::aws:policy\/.+/;

/** Managed policies that code here attaches: a name that AWS does not have is refused. */
export const MANAGED_POLICIES: readonly string[] = [
  "AmazonEKSClusterPolicy",
  "AmazonEKSVPCResourceController",
  "AmazonEKSWorkerNodePolicy",
  "AmazonEKSWorkerNodeMinimalPolicy",
  "AmazonEKS_CNI_Policy",
  "AmazonEC2ContainerRegistryReadOnly",
  "AmazonEC2ContainerRegistryPullOnly",
  "AmazonSSMManagedInstanceCore",
  "CloudWatchAgentServerPolicy",
  "service-role/AmazonEBSCSIDriverPolicy",
  "AmazonEBSCSIDriverPolicyV2",
  "service-role/AmazonEBSCSIDriverPolicyV2",
  "service-role/AmazonEFSCSIDriverPolicy",
  "service-role/AmazonRDSEnhancedMonitoringRole",
  "service-role/AWSDataLifecycleManagerServiceRole",
  "service-role/AWSBackupServiceRolePolicyForBackup",
];

export const IAM: Rules = {
  [ROLE]: {
    source: "iam/role.go",
    id: (made) => String(made.inputs.name),
    name: { property: "name", max: 64, pattern: NAME },
    replaces: ["name", "namePrefix", "path"],
    values: {
      maxSessionDuration: [3600, 43200],
      permissionsBoundary: arn("iam"),
      path: /^\/([\w!-~]*\/)?$/,
      description: /^.{0,1000}$/s,
    },
    faults: (i) => [
      notJson(i, "assumeRolePolicy"),
      parsed(i.assumeRolePolicy)
        ? trustFault(parsed(i.assumeRolePolicy) as Record<string, unknown>)
        : null,
    ],
    needs: [principals("assumeRolePolicy")],
    computed: (made, id) => ({
      arn: iamArn(made, "role", id),
      uniqueId: `AROA${made.hex(16).toUpperCase()}`,
      createDate: "2026-11-21T00:00:00Z",
    }),
    refusesDelete: (row, world) => {
      if (row.inputs.forceDetachPolicies === true) return null;
      const attached = world
        .of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        .find((one) => one.inputs.role === row.id);
      return attached ? "DeleteConflict: it has attached policies" : null;
    },
  },
  [POLICY]: {
    source: "iam/policy.go",
    id: (made) => iamArn(made, "policy", made.inputs.name),
    name: { property: "name", max: 128, pattern: NAME },
    replaces: ["description", "name", "namePrefix", "path"],
    faults: (i) => [notJson(i, "policy"), policyFault(i.policy, 6144)],
    computed: (made, id) => ({ arn: id, policyId: `ANPA${made.hex(16).toUpperCase()}` }),
  },
  "aws:iam/rolePolicy:RolePolicy": {
    source: "iam/role_policy.go",
    id: joined(":", "role", "name"),
    name: { property: "name", max: 128, pattern: NAME },
    unique: [["role", "name"]],
    replaces: ["name", "namePrefix", "role"],
    faults: (i) => [notJson(i, "policy"), policyFault(i.policy, 10_240)],
    needs: [ref("role", ROLE, { by: "name" })],
  },
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
    source: "iam/role_policy_attachment.go",
    id: (made) => `${made.inputs.role}/${made.inputs.policyArn}`,
    unique: [["role", "policyArn"]],
    replaces: ["policyArn", "role"],
    values: { policyArn: arn("iam") },
    needs: [
      ref("role", ROLE, { by: "name" }),
      ref("policyArn", POLICY, { by: "arn", allow: AWS_MANAGED }),
      need("a policy of AWS's own is one that AWS has", (row) => {
        const name = /^arn:aws[\w-]*:iam::aws:policy\/(.+)$/.exec(
          String(row.inputs.policyArn),
        )?.[1];
        return name && !MANAGED_POLICIES.includes(name)
          ? `NoSuchEntity: AWS has no policy ${name} (or MANAGED_POLICIES in rules/iam.ts lacks it)`
          : null;
      }),
    ],
  },
  "aws:iam/instanceProfile:InstanceProfile": {
    source: "iam/instance_profile.go",
    id: (made) => String(made.inputs.name),
    name: { property: "name", max: 128, pattern: NAME },
    replaces: ["name", "namePrefix", "path"],
    needs: [ref("role", ROLE, { by: "name" })],
    computed: (made, id) => ({ arn: iamArn(made, "instance-profile", id) }),
  },
  "aws:iam/serviceLinkedRole:ServiceLinkedRole": {
    source: "iam/service_linked_role.go",
    id: (made) => arnOf(made, "iam", `role/aws-service-role/${made.inputs.awsServiceName}`, true),
    unique: [["awsServiceName", "customSuffix"]],
    replaces: ["awsServiceName", "customSuffix"],
    values: { awsServiceName: /\.amazonaws\.com$/ },
    computed: (made, id) => ({ arn: id, name: `AWSServiceRoleFor${made.hex(6)}` }),
  },
  "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {
    source: "iam/openid_connect_provider.go",
    id: (made) =>
      arnOf(
        made,
        "iam",
        `oidc-provider/${String(made.inputs.url).replace(/^https:\/\//, "")}`,
        true,
      ),
    unique: [["url"]],
    replaces: ["url"],
    computed: (_, id) => ({ arn: id }),
  },
  [USER]: {
    source: "iam/user.go",
    id: (made) => String(made.inputs.name),
    name: { property: "name", max: 64, pattern: NAME },
    replaces: [],
    computed: (made, id) => ({ arn: iamArn(made, "user", id) }),
  },
};

/** A trust policy has statements that name who may take the role. */
function trustFault(policy: Record<string, unknown>): string | null {
  const statements = [policy.Statement].flat() as Record<string, unknown>[];
  if (statements.length === 0) return "assumeRolePolicy has no Statement";
  for (const statement of statements) {
    if (statement?.Effect === undefined) return "MalformedPolicyDocument: Effect is missing";
    if (statement.Principal === undefined) return "MalformedPolicyDocument: Principal is missing";
    if (statement.Resource !== undefined)
      return "MalformedPolicyDocument: a trust policy has no Resource";
    if (![statement.Action].flat().every((one) => /^sts:/.test(String(one)))) {
      return `MalformedPolicyDocument: a trust policy has sts actions only`;
    }
  }
  return null;
}

/** A permission policy names actions and resources, no principals, and is no longer than AWS takes. */
export function policyFault(text: unknown, max: number): string | null {
  const policy = parsed(text);
  if (!policy) return null;
  const size = JSON.stringify(policy).replace(/\s/g, "").length;
  if (size > max) return `LimitExceeded: the policy has ${size} characters, at most ${max}`;
  if (policy.Version !== "2012-10-17" && policy.Version !== "2008-10-17") {
    return "MalformedPolicyDocument: Version is 2012-10-17";
  }
  for (const statement of [policy.Statement].flat() as Record<string, unknown>[]) {
    if (!statement) return "MalformedPolicyDocument: Statement is missing";
    if (!["Allow", "Deny"].includes(String(statement.Effect)))
      return "MalformedPolicyDocument: Effect";
    if (statement.Action === undefined && statement.NotAction === undefined) {
      return "MalformedPolicyDocument: a statement has no Action";
    }
    if (statement.Resource === undefined && statement.NotResource === undefined) {
      return "MalformedPolicyDocument: a statement has no Resource";
    }
    if (statement.Principal !== undefined) {
      return "MalformedPolicyDocument: a policy of a role names no Principal";
    }
    for (const action of [statement.Action ?? statement.NotAction].flat()) {
      if (!/^(\*|[a-z0-9-]+:[\w*?]+)$/i.test(String(action))) {
        return `MalformedPolicyDocument: ${action} is no action`;
      }
    }
    for (const resource of [statement.Resource ?? statement.NotResource].flat()) {
      if (!/^(\*|arn:.*)$/.test(String(resource))) {
        return `MalformedPolicyDocument: ${resource} is neither an ARN nor *`;
      }
    }
    const sid = statement.Sid;
    if (sid !== undefined && !/^[A-Za-z0-9]*$/.test(String(sid))) {
      return `MalformedPolicyDocument: Sid ${sid} has other than letters and digits`;
    }
  }
  return null;
}

/** A service takes on a role only if the role's trust names it. */
export function trustFaultFor(path: string, service: string) {
  return need(`the role (${path}) trusts ${service}`, (row, world) => {
    const [arn] = valuesAt(row.inputs, path);
    const role = world.find(ROLE, "arn", arn);
    return !role || String(role.inputs.assumeRolePolicy).includes(service)
      ? null
      : `InvalidParameter: ${service} may not take on ${role.id}`;
  });
}

/** Principals of a policy must exist when it is written: AWS resolves them then. */
export function principals(property: string) {
  return need(
    `principals of ${property} exist`,
    (row, world) => {
      const policy = parsed(row.inputs[property]);
      const statements = [policy?.Statement ?? []].flat();
      for (const named of statements.flatMap((one) => valuesAt(one, "Principal.AWS")).flat()) {
        const name = String(named);
        if (name === "*" || /^\d{12}$/.test(name) || /:root$/.test(name)) continue;
        if (/:role\/aws-service-role\/|:assumed-role\//.test(name)) continue;
        const [, , , , account] = name.split(":");
        if (account !== row.scope.account || name === row.scope.caller) continue;
        if (!world.find([ROLE, USER], "arn", name)) {
          return `MalformedPolicyDocument: there is no principal ${name}`;
        }
      }
      return null;
    },
    ["create", "update"],
  );
}
