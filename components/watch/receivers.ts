import { RECEIVER_KEYS, type Receiver } from "./catalog.ts";
import type { MonitoringSettings } from "./settings.ts";

type Alerts = MonitoringSettings["alerts"];

const KINDS = Object.keys(RECEIVER_KEYS) as Receiver[];

/** One secret of Secrets Manager and the key under which it is handed on. */
export interface SecretReference {
  readonly key: string;
  readonly secret: string;
}

/** Secrets that the receivers need, where they are named and not given. */
export function receiverSecrets(alerts: Alerts): SecretReference[] {
  return KINDS.flatMap((kind) => {
    const secret = alerts[kind]?.secret;
    return secret === undefined ? [] : [{ key: RECEIVER_KEYS[kind], secret }];
  });
}

/** Whether an alert reaches anybody. */
export function tellsSomebody({ slack, pagerDuty, email, webhook }: Alerts): boolean {
  return [slack, pagerDuty, email, webhook].some((receiver) => receiver !== undefined);
}

/**
 * How a receiver's secret stands in the configuration: `file` names one that holds it; `inline` takes what
 * the settings say, for versions of Alertmanager that do not read every secret from a file.
 */
export type Credentials = { readonly file: (key: string) => string } | "inline";

/** Alertmanager's waits, seconds. */
export interface AlertTiming {
  /** For alerts of the same kind, before the first message. */
  readonly groupWaitSeconds: number;
  /** Before more of the same kind are told. */
  readonly groupIntervalSeconds: number;
}

export const ALERT_TIMING: AlertTiming = { groupWaitSeconds: 15, groupIntervalSeconds: 300 };

/** A receiver's secret where the settings give it, by whatever its own word for it is. */
export function givenSecret(alerts: Alerts, kind: Receiver): string | undefined {
  if (kind === "pagerDuty") return alerts.pagerDuty?.key;
  if (kind === "email") return alerts.email?.password;
  return alerts[kind]?.url;
}

const TITLE = "{{ .CommonLabels.severity }}: {{ .CommonAnnotations.summary }}";
const TEXT =
  "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.description }}\nfirst: `{{ .Annotations.command }}`\n{{ .Annotations.runbook }}\n{{ end }}";

/**
 * Alertmanager's configuration: PagerDuty for what is critical, email from warnings on, Slack and the
 * webhook for everything. Secrets stand in files; inline, it is as secret as the settings' values.
 */
export function alertmanagerConfig(
  alerts: Alerts,
  credentials: Credentials,
  timing: AlertTiming = ALERT_TIMING,
) {
  const { slack, pagerDuty, email, webhook, heartbeat } = alerts;
  const secret = (field: string, kind: Receiver) =>
    credentials === "inline"
      ? { [field]: givenSecret(alerts, kind) }
      : { [`${field}_file`]: credentials.file(RECEIVER_KEYS[kind]) };
  const all = {
    ...(slack && {
      slack_configs: [
        {
          ...secret("api_url", "slack"),
          channel: slack.channel,
          send_resolved: true,
          title: TITLE,
          text: TEXT,
        },
      ],
    }),
    ...(webhook && { webhook_configs: [{ ...secret("url", "webhook"), send_resolved: true }] }),
  };
  const mailed = {
    ...(email && {
      email_configs: [
        {
          to: email.to.join(", "),
          from: email.from,
          smarthost: email.smarthost,
          require_tls: true,
          send_resolved: true,
          ...(email.username ? { auth_username: email.username } : {}),
          ...((email.secret ?? email.password) ? secret("auth_password", "email") : {}),
        },
      ],
    }),
  };
  const paged = {
    ...(pagerDuty && {
      pagerduty_configs: [
        { ...secret("routing_key", "pagerDuty"), description: TITLE, severity: "critical" },
      ],
    }),
  };
  const called = {
    ...(heartbeat && {
      webhook_configs: [{ ...secret("url", "heartbeat"), send_resolved: false }],
    }),
  };
  return {
    global: { resolve_timeout: "5m" },
    route: {
      receiver: "info",
      group_by: ["alertname", "shard", "node"],
      group_wait: `${timing.groupWaitSeconds}s`,
      group_interval: `${timing.groupIntervalSeconds}s`,
      repeat_interval: `${alerts.repeatHours}h`,
      routes: [
        // Always firing: it proves that alerts get through, and is nobody's to read.
        {
          receiver: "heartbeat",
          matchers: ['alertname = "Watchdog"'],
          ...(heartbeat && {
            group_interval: `${heartbeat.minutes}m`,
            // Shorter than the interval, so that each of them sends.
            repeat_interval: "30s",
          }),
        },
        { receiver: "nobody", matchers: ['alertname = "InfoInhibitor"'] },
        { receiver: "critical", matchers: ['severity = "critical"'] },
        { receiver: "warning", matchers: ['severity = "warning"'] },
      ],
    },
    inhibit_rules: [
      {
        // Of one shard only the worst is told.
        source_matchers: ['severity = "critical"'],
        target_matchers: ['severity =~ "warning|info"', 'shard =~ ".+"'],
        equal: ["shard"],
      },
      {
        source_matchers: ['alertname = "InfoInhibitor"'],
        target_matchers: ['severity = "info"', 'namespace =~ ".+"'],
        equal: ["namespace"],
      },
    ],
    receivers: [
      { name: "nobody" },
      { name: "heartbeat", ...called },
      { name: "info", ...all },
      { name: "warning", ...all, ...mailed },
      { name: "critical", ...all, ...mailed, ...paged },
    ],
  };
}
