import { RECEIVER_KEYS } from "./catalog.ts";
import type { MonitoringSettings } from "./settings.ts";

type Alerts = MonitoringSettings["alerts"];

/** One secret of Secrets Manager and the key under which it is handed on. */
export interface SecretReference {
  readonly key: string;
  readonly secret: string;
}

/** Secrets that the receivers need. */
export function receiverSecrets({ slack, pagerDuty, email }: Alerts): SecretReference[] {
  return [
    ...(slack ? [{ key: RECEIVER_KEYS.slack, secret: slack.secret }] : []),
    ...(pagerDuty ? [{ key: RECEIVER_KEYS.pagerDuty, secret: pagerDuty.secret }] : []),
    ...(email?.secret ? [{ key: RECEIVER_KEYS.email, secret: email.secret }] : []),
  ];
}

const TITLE = "{{ .CommonLabels.severity }}: {{ .CommonAnnotations.summary }}";
const TEXT =
  "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.description }}\nfirst: `{{ .Annotations.command }}`\n{{ .Annotations.runbook }}\n{{ end }}";

/**
 * Alertmanager's configuration. Secrets stand in files of `secretsDir`, never in it: PagerDuty for
 * what is critical, email from warnings on, Slack for everything.
 */
export function alertmanagerConfig(alerts: Alerts, secretsDir: string) {
  const { slack, pagerDuty, email } = alerts;
  const file = (key: string) => `${secretsDir}/${key}`;
  const slackConfigs = slack
    ? {
        slack_configs: [
          {
            api_url_file: file(RECEIVER_KEYS.slack),
            channel: slack.channel,
            send_resolved: true,
            title: TITLE,
            text: TEXT,
          },
        ],
      }
    : {};
  const emailConfigs = email
    ? {
        email_configs: [
          {
            to: email.to.join(", "),
            from: email.from,
            smarthost: email.smarthost,
            require_tls: true,
            send_resolved: true,
            ...(email.username ? { auth_username: email.username } : {}),
            ...(email.secret ? { auth_password_file: file(RECEIVER_KEYS.email) } : {}),
          },
        ],
      }
    : {};
  const pagerDutyConfigs = pagerDuty
    ? {
        pagerduty_configs: [
          {
            routing_key_file: file(RECEIVER_KEYS.pagerDuty),
            description: TITLE,
            severity: "critical",
          },
        ],
      }
    : {};
  return {
    global: { resolve_timeout: "5m" },
    route: {
      receiver: "info",
      group_by: ["alertname", "shard", "node"],
      group_wait: "15s",
      group_interval: "5m",
      repeat_interval: `${alerts.repeatHours}h`,
      routes: [
        // Always firing: it proves that alerts get through, and is nobody's to read.
        { receiver: "nobody", matchers: ['alertname =~ "Watchdog|InfoInhibitor"'] },
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
      { name: "info", ...slackConfigs },
      { name: "warning", ...slackConfigs, ...emailConfigs },
      { name: "critical", ...slackConfigs, ...emailConfigs, ...pagerDutyConfigs },
    ],
  };
}
