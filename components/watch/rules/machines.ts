import { HOST_JOBS } from "../catalog.ts";
import { metric } from "../metrics.ts";
import type { RuleGroup } from "./types.ts";

const onDisk = { fstype: { re: "ext4|xfs|btrfs|zfs" } } as const;

/** Machines under the fleet, and what watches them, where nothing else does. */
export function machineRules(): RuleGroup {
  return {
    name: "openclaw-machines",
    alerts: [
      {
        name: "Watchdog",
        expr: "vector(1)",
        forSeconds: 0,
        severity: "none",
        summary: "Monitoring is alive",
        effect: "Always firing. Whoever is called by it should worry when the calls stop.",
        command: "./fleet status",
        runbook: "the-heartbeat-stopped",
      },
      {
        name: "HostDown",
        expr: `${metric("up", { job: HOST_JOBS.machine })} == 0`,
        forSeconds: 120,
        severity: "critical",
        summary: "Host {{ $labels.instance }} does not answer",
        effect: "Its shards are served by others; one loss more may stop the service.",
        command: "./fleet status",
        runbook: "a-host-does-not-answer",
      },
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
      {
        name: "HostUnitFailed",
        expr: `${metric("node_systemd_unit_state", { state: "failed" })} == 1`,
        forSeconds: 60,
        severity: "critical",
        summary: "{{ $labels.name }} on {{ $labels.instance }} has failed",
        effect: "systemd has given up starting it: what it does is not done there.",
        command: "journalctl -u {{ $labels.name }} -n 50",
        runbook: "a-unit-has-failed",
      },
      {
        name: "WatcherDown",
        expr: `${metric("up", { job: { re: `${HOST_JOBS.watcher}|${HOST_JOBS.canary}` } })} == 0`,
        forSeconds: 300,
        severity: "warning",
        summary: "{{ $labels.instance }} of monitoring does not answer",
        effect: "A part of what is watched is not.",
        command: "systemctl list-units 'openclaw-fleet-*'",
        runbook: "monitoring-itself-is-ill",
      },
      {
        name: "AlertsUndelivered",
        // Twice within the time, since a receiver may be away for a moment: each is tried again after five minutes.
        expr: `sum by (integration) (increase(${metric("alertmanager_notifications_failed_total")}[20m])) > 1.5`,
        forSeconds: 0,
        severity: "warning",
        summary: "Alerts do not get through to {{ $labels.integration }}",
        effect: "Who is told by it alone is told nothing.",
        command: "journalctl -u openclaw-fleet-alertmanager -n 50",
        runbook: "alerts-do-not-arrive",
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
