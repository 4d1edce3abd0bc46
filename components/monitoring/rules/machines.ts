import { metric } from "../metrics.ts";
import type { RuleGroup } from "./types.ts";

const onDisk = { fstype: { re: "ext4|xfs" } } as const;

/** Machines under the fleet, where nothing else watches them. */
export function machineRules(): RuleGroup {
  return {
    name: "openclaw-machines",
    alerts: [
      {
        name: "HostDiskFull",
        expr: `${metric("node_filesystem_avail_bytes", onDisk)} / ${metric("node_filesystem_size_bytes", onDisk)} < 0.1`,
        forSeconds: 300,
        severity: "critical",
        summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} is nearly full",
        effect: "Turns that must write fail, and shards cannot change their owner.",
        command: "df -h {{ $labels.mountpoint }}",
        runbook: "the-disk-is-full",
      },
      {
        name: "HostMemoryLow",
        expr: `${metric("node_memory_MemAvailable_bytes")} / ${metric("node_memory_MemTotal_bytes")} < 0.05`,
        forSeconds: 300,
        severity: "warning",
        summary: "{{ $labels.instance }} has hardly any memory left",
        effect: "The kernel may kill gateways; their shards restart.",
        command: "./fleet plan",
        runbook: "memory-is-near-the-limit",
      },
    ],
  };
}

/** Volumes of the cluster: those of monitoring and of the fleet. */
export function volumeRules(): RuleGroup {
  return {
    name: "openclaw-volumes",
    alerts: [
      {
        name: "VolumeFull",
        expr: `${metric("kubelet_volume_stats_available_bytes")} / ${metric("kubelet_volume_stats_capacity_bytes")} < 0.1`,
        forSeconds: 300,
        severity: "critical",
        summary:
          "Volume {{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} is nearly full",
        effect: "What writes to it stops; in the fleet's namespace, turns fail.",
        command: "kubectl get pvc -n {{ $labels.namespace }}",
        runbook: "the-disk-is-full",
      },
    ],
  };
}
