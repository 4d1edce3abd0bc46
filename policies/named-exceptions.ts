/** Where the project's own components break a policy, and why that is right. */
export interface NamedException {
  readonly policy: string;
  /** End of the URN: type and name. */
  readonly urn: RegExp;
  readonly reason: string;
}

export const NAMED_EXCEPTIONS: readonly NamedException[] = [
  {
    policy: "encryption-buckets",
    urn: /openclaw-fleet:data:Buckets\$.*::[\w-]+-access-logs-encryption$/,
    reason: "balancers deliver their logs only to buckets that encrypt with S3's own key",
  },
  {
    policy: "workloads-namespace-security",
    urn: /openclaw-fleet:compute:Platform\$.*::[\w-]+-gpu$/,
    reason: "NVIDIA's device plugin hands devices of the node to pods; nothing else runs there",
  },
  {
    policy: "workloads-namespace-security",
    urn: /openclaw-fleet:fleet:Monitoring\$.*::[\w-]+-agents$/,
    reason: "node exporter and Vector read the node's own files; nothing else runs there",
  },
];

/** Charts whose pods need what policies of workloads refuse. Their values are judged in tests. */
export const CHART_EXCEPTIONS: Readonly<Record<string, string>> = {
  "kube-prometheus-stack": "node exporter reads the node's own counters, read-only",
  vector: "reads the log files of all pods on its node, read-only",
  "nvidia-device-plugin": "hands GPUs of the node to pods",
};
