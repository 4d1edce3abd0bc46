import { expect, test } from "vitest";
import { RECEIVER_KEYS } from "../../../components/watch/catalog.ts";
import { alertmanagerConfig, receiverSecrets } from "../../../components/watch/receivers.ts";
import { monitoringSettings } from "../../../components/watch/settings.ts";
import { ALERTS } from "../monitoring/sample.ts";

const all = monitoringSettings.parse({ alerts: ALERTS }).alerts;
const none = monitoringSettings.parse({}).alerts;

const FILES = { file: (key: string) => `/s/${key}` };

const kinds = (receiver: object | undefined) =>
  Object.keys(receiver ?? {}).filter((key) => key.endsWith("_configs"));

test("critical wakes somebody, warnings are mailed, everything is in the channel", () => {
  const { receivers, route } = alertmanagerConfig(all, FILES);
  const by = (name: string) => kinds(receivers.find((r) => r.name === name));
  expect(by("critical")).toEqual([
    "slack_configs",
    "webhook_configs",
    "email_configs",
    "pagerduty_configs",
  ]);
  expect(by("warning")).toEqual(["slack_configs", "webhook_configs", "email_configs"]);
  expect(by("info")).toEqual(["slack_configs", "webhook_configs"]);
  expect(by("nobody")).toEqual([]);
  expect(route).toMatchObject({ receiver: "info", repeat_interval: "4h" });
});

test("every route leads to a receiver", () => {
  for (const alerts of [all, none]) {
    const { receivers, route } = alertmanagerConfig(alerts, FILES);
    const names = receivers.map((r) => r.name);
    for (const { receiver } of [route, ...route.routes]) expect(names).toContain(receiver);
  }
});

test("secrets are files: nothing that a receiver needs to keep secret is in the configuration", () => {
  const text = JSON.stringify(alertmanagerConfig(all, FILES));
  for (const key of Object.values(RECEIVER_KEYS)) expect(text).toContain(`"/s/${key}"`);
  for (const key of ["api_url", "routing_key", "service_key", "auth_password"]) {
    expect(text).not.toContain(`"${key}":`);
  }
  for (const { secret } of [
    ALERTS.webhook,
    ALERTS.heartbeat,
    ALERTS.slack,
    ALERTS.pagerDuty,
    ALERTS.email,
  ]) {
    expect(text).not.toContain(secret);
  }
});

test("mail goes over TLS, to everybody named", () => {
  const { receivers } = alertmanagerConfig(all, FILES);
  const warning = receivers.find((r) => r.name === "warning");
  expect(warning).toMatchObject({
    email_configs: [
      {
        to: "ops@example.org, boss@example.org",
        require_tls: true,
        auth_username: "fleet",
        auth_password_file: "/s/smtp-password",
      },
    ],
  });
});

test("only secrets of receivers that are set are asked for", () => {
  expect(receiverSecrets(none)).toEqual([]);
  expect(receiverSecrets(all)).toEqual([
    { key: "slack-url", secret: "prod-slack" },
    { key: "pagerduty-key", secret: "prod-pagerduty" },
    { key: "smtp-password", secret: "prod-smtp" },
    { key: "webhook-url", secret: "prod-webhook" },
    { key: "heartbeat-url", secret: "prod-heartbeat" },
  ]);
});

test("of one shard only the worst is told", () => {
  expect(alertmanagerConfig(none, FILES).inhibit_rules[0]).toEqual({
    source_matchers: ['severity = "critical"'],
    target_matchers: ['severity =~ "warning|info"', 'shard =~ ".+"'],
    equal: ["shard"],
  });
});
