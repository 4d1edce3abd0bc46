import type { Row, World } from "../world.ts";
import { textAt } from "../world.ts";
import { ASSOCIATION, CLUSTER, ENTRY, ENTRY_POLICY } from "./eks.ts";
import { ROLE, trustFaultFor } from "./iam.ts";
import { arn, arnOf, joined, need, parsed, ref } from "./parts.ts";
import type { Rules } from "./types.ts";

const clusterName = (row: Row) => row.inputs.clusterName;
const inCluster = ref("clusterName", CLUSTER, { by: "name" });

export const EKS_ACCESS: Rules = {
  [ENTRY]: {
    source: "eks/access_entry.go",
    id: joined(":", "clusterName", "principalArn"),
    replaces: ["clusterName", "principalArn", "type"],
    values: {
      type: [
        "STANDARD",
        "EC2_LINUX",
        "EC2_WINDOWS",
        "FARGATE_LINUX",
        "EC2",
        "HYBRID_LINUX",
        "HYPERPOD_LINUX",
      ],
      principalArn: arn("iam"),
      "kubernetesGroups[]": /^(?!system:)/,
    },
    needs: [
      inCluster,
      need("the cluster takes access entries", (row, world) => {
        const cluster = world.find(CLUSTER, "name", clusterName(row));
        return textAt(cluster?.inputs, "accessConfig.authenticationMode")?.startsWith("API")
          ? null
          : "InvalidRequest: the cluster's authentication mode is CONFIG_MAP";
      }),
      need("the principal exists", (row, world) => {
        const arn = String(row.inputs.principalArn);
        if (arn === row.scope.caller || !arn.includes(`:${row.scope.account}:`)) return null;
        if (/:(user|root)/.test(arn) || KNOWN_PRINCIPALS.test(arn)) return null;
        return world.find(ROLE, "arn", arn)
          ? null
          : `InvalidParameter: there is no principal ${arn}`;
      }),
    ],
    computed: (made) => ({
      accessEntryArn: arnOf(made, "eks", `access-entry/${made.inputs.clusterName}/${made.hex(20)}`),
      userName: made.inputs.userName ?? made.inputs.principalArn,
    }),
  },
  [ENTRY_POLICY]: {
    source: "eks/access_policy_association.go",
    id: joined("#", "clusterName", "principalArn", "policyArn"),
    replaces: ["accessScope", "clusterName", "policyArn", "principalArn"],
    values: {
      policyArn:
        /^arn:aws[\w-]*:eks::aws:cluster-access-policy\/AmazonEKS(ClusterAdmin|Admin|Edit|View|AdminView|AutoNode)Policy$/,
      "accessScope.type": ["cluster", "namespace"],
    },
    needs: [
      inCluster,
      need("the principal has an access entry", (row, world) =>
        world
          .of(ENTRY)
          .some(
            (one) =>
              one.inputs.clusterName === clusterName(row) &&
              one.inputs.principalArn === row.inputs.principalArn,
          )
          ? null
          : `ResourceNotFound: no access entry for ${row.inputs.principalArn}`,
      ),
    ],
  },
  [ASSOCIATION]: {
    source: "eks/pod_identity_association.go",
    id: (made) => `a-${made.hex(17)}`,
    replaces: ["clusterName", "namespace", "serviceAccount"],
    unique: [["clusterName", "namespace", "serviceAccount"]],
    needs: [
      inCluster,
      ref("roleArn", ROLE, { by: "arn" }),
      trustFaultFor("roleArn", "pods.eks.amazonaws.com"),
      need("the trust of a pod's role is for this cluster and service account", (row, world) => {
        const role = world.find(ROLE, "arn", row.inputs.roleArn);
        const text = JSON.stringify(parsed(role?.inputs.assumeRolePolicy) ?? {});
        const tag = (name: string) =>
          new RegExp(`aws:RequestTag/${name}":"?\\[?"?([^"]+)"`).exec(text)?.[1];
        const wanted: readonly (readonly [string, unknown])[] = [
          ["eks-cluster-name", row.inputs.clusterName],
          ["kubernetes-namespace", row.inputs.namespace],
          ["kubernetes-service-account", row.inputs.serviceAccount],
        ];
        const wrong = wanted.find(
          ([name, value]) => tag(name) !== undefined && tag(name) !== value,
        );
        return wrong
          ? `AccessDenied: the role's trust names another ${wrong[0]}: ${tag(wrong[0])}`
          : null;
      }),
    ],
    computed: (made, id) => ({
      associationArn: arnOf(made, "eks", `podidentityassociation/${made.inputs.clusterName}/${id}`),
      associationId: id,
    }),
    refusesDelete: (row, world) => busy(row.inputs.serviceAccount, world),
  },
};

/** What a service account's controller still has to finish, outside of the cluster. */
export function busy(serviceAccount: unknown, world: World): string | null {
  const part = { karpenter: " nodes of pool ", "aws-load-balancer-controller": " targets of " }[
    String(serviceAccount)
  ];
  const found = [...world.residue.values()].find(
    ({ kind, name }) => kind === "ending" && part !== undefined && name.includes(part),
  );
  return found ? `its work is not done: ${found.name}` : null;
}

/** The same for a role, whose rights are needed until then. */
export function busyRole(role: unknown, world: World): string | null {
  const arn = world.find(ROLE, "id", role)?.state.arn;
  const users = world.of(ASSOCIATION).filter((one) => one.inputs.roleArn === arn);
  return (
    users.map((one) => busy(one.inputs.serviceAccount, world)).find((what) => what !== null) ?? null
  );
}

/** Roles that stand for a person's own in tests: they exist without being made here. */
const KNOWN_PRINCIPALS = /:role\/(admins?|deployer|platform-admin|[\w-]*Admin[\w-]*)$/;
