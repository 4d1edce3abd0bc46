import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

export interface NamespaceArgs {
  /** Its name in the cluster. */
  readonly namespace: string;
  /**
   * Pod Security Standard that the API server enforces. `privileged` only where a pod needs the
   * node's own folders or network. Source: kubernetes.io/docs/concepts/security/pod-security-standards
   */
  readonly security: "privileged" | "baseline" | "restricted";
  readonly labels?: Readonly<Record<string, string>>;
  /** Who may reach its pods beside each other. @default nobody */
  readonly ingress?: readonly IngressRule[];
}

export interface IngressRule {
  /** Part of the rule's name: what comes in. */
  readonly name: string;
  /** Other namespaces by name, or address ranges. */
  readonly from: { readonly namespaces: readonly string[] } | { readonly cidrs: readonly string[] };
  /** TCP ports; every port when left out. */
  readonly ports?: readonly number[];
}

/**
 * A namespace that only lets in what is named, with its pod security written on it.
 * NetworkPolicies act where the cluster's CNI addon enforces them.
 */
export function closedNamespace(
  name: string,
  { namespace, security, labels = {}, ingress = [] }: NamespaceArgs,
  opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Namespace {
  const made = new k8s.core.v1.Namespace(
    name,
    {
      metadata: {
        name: namespace,
        labels: {
          ...labels,
          "pod-security.kubernetes.io/enforce": security,
          "pod-security.kubernetes.io/warn":
            security === "privileged" ? "privileged" : "restricted",
        },
      },
    },
    opts,
  );
  const rules = [{ name: "inside", from: { namespaces: [namespace] } }, ...ingress];
  for (const rule of rules) {
    new k8s.networking.v1.NetworkPolicy(
      `${name}-from-${rule.name}`,
      {
        metadata: { name: `from-${rule.name}`, namespace: made.metadata.name },
        // Selecting every pod for ingress closes the namespace to whatever no rule names.
        spec: {
          podSelector: {},
          policyTypes: ["Ingress"],
          ingress: [
            {
              from: peers(rule.from),
              ...("ports" in rule && rule.ports
                ? { ports: rule.ports.map((port) => ({ protocol: "TCP", port })) }
                : {}),
            },
          ],
        },
      },
      opts,
    );
  }
  return made;
}

function peers(from: IngressRule["from"]) {
  if ("cidrs" in from) return from.cidrs.map((cidr) => ({ ipBlock: { cidr } }));
  return from.namespaces.map((namespace) => ({
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
  }));
}
