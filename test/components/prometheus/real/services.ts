/** What Slack and PagerDuty take, and what they refuse: services that cannot be had in a test. */

/** A message of an incoming webhook, as far as it is looked at. */
export interface SlackMessage {
  readonly channel?: string;
  readonly attachments: readonly { readonly title: string; readonly text: string }[];
}

export interface Refusal {
  readonly status: number;
  readonly text: string;
}

/** Null: taken. Source: docs.slack.dev, "Sending messages using incoming webhooks", handling errors. */
export function slackRefuses(path: string, secret: string, message: unknown): Refusal | null {
  if (path !== secret) return { status: 404, text: "no_service" };
  if (typeof message !== "object" || message === null) {
    return { status: 400, text: "invalid_payload" };
  }
  const { text, attachments, blocks } = message as Record<string, unknown>;
  const says = [text, attachments, blocks].some((part) => (part as string | [])?.length > 0);
  if (!says) return { status: 400, text: "no_text" };
  return null;
}

/** An event of PagerDuty's Events API v2. */
export interface PagerEvent {
  readonly routing_key: string;
  readonly event_action: "trigger" | "acknowledge" | "resolve";
  readonly dedup_key?: string;
  readonly payload?: {
    readonly summary: string;
    readonly source: string;
    readonly severity: string;
    readonly custom_details?: unknown;
  };
}

const SEVERITIES = ["critical", "error", "warning", "info"];

/** Why an event is not taken; null: it is. Source: developer.pagerduty.com, "Send an alert event". */
export function pagerDutyRefuses(path: string, key: string, event: unknown): string | null {
  if (path !== "/v2/enqueue") return "no such path";
  if (typeof event !== "object" || event === null) return "event is no object";
  const { routing_key, event_action, dedup_key, payload } = event as Partial<PagerEvent>;
  if (routing_key !== key) return "routing_key is not one of an integration";
  if (event_action === "resolve" || event_action === "acknowledge") {
    return dedup_key ? null : "dedup_key is required";
  }
  if (event_action !== "trigger") return "event_action is none of the three";
  if (!payload?.summary || payload.summary.length > 1024) return "summary: 1 to 1,024 characters";
  if (!payload.source) return "source is required";
  if (!SEVERITIES.includes(payload.severity)) return "severity is none of the four";
  return null;
}
