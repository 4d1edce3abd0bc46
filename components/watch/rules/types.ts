/** `critical` wakes somebody, `warning` is read in working hours, `info` is seen, `none` is for machines. */
export type Severity = "critical" | "warning" | "info" | "none";

export interface Alert {
  readonly name: string;
  /** PromQL; every series it returns is one alert. */
  readonly expr: string;
  /** Seconds it must hold. */
  readonly forSeconds: number;
  readonly severity: Severity;
  /** What is wrong, with labels as `{{ $labels.shard }}`. */
  readonly summary: string;
  /** What people notice. */
  readonly effect: string;
  /** What to type first; of a fleet's own commands without `--stack`, which is added for all of them. */
  readonly command: string;
  /** Heading of docs/operations.md as its anchor. */
  readonly runbook: string;
}

export interface RuleGroup {
  readonly name: string;
  readonly alerts: readonly Alert[];
}

/** The same groups as Prometheus reads them: content of a rules file, and of a PrometheusRule's spec. */
export function ruleFile(groups: readonly RuleGroup[]) {
  return {
    groups: groups.map(({ name, alerts }) => ({
      name,
      rules: alerts.map((alert) => ({
        alert: alert.name,
        expr: alert.expr,
        for: `${alert.forSeconds}s`,
        labels: { severity: alert.severity },
        annotations: {
          summary: alert.summary,
          description: alert.effect,
          command: alert.command,
          runbook: `docs/operations.md#${alert.runbook}`,
        },
      })),
    })),
  };
}
