import { z } from "zod";

/** Name of a secret in Secrets Manager; what it holds never stands in the settings. */
const secretName = (what: string) =>
  z
    .string()
    .regex(/^[\w/+=.@-]{1,512}$/, "the name of a secret in Secrets Manager")
    .describe(
      `Name of a secret in Secrets Manager that holds ${what}. It begins with the fleet's name, since no other may be read. A new value is there within an hour, without a restart.`,
    );

const alerts = z.strictObject({
  slack: z
    .strictObject({
      channel: z
        .string()
        .regex(/^#\S+$/, "a channel, with its #")
        .describe("Channel of every alert."),
      secret: secretName("the address of an incoming webhook"),
    })
    .optional()
    .describe("Every alert goes here."),
  pagerDuty: z
    .strictObject({ secret: secretName("the integration key (Events API v2)") })
    .optional()
    .describe("Critical alerts go here."),
  email: z
    .strictObject({
      to: z.array(z.email()).min(1).describe("Who gets them."),
      from: z.email().describe("Sender."),
      smarthost: z
        .string()
        .regex(/^[\w.-]+:\d+$/, "host:port")
        .describe("Mail server with its port; TLS is demanded."),
      username: z.string().optional().describe("Account at the mail server."),
      secret: secretName("the account's password").optional(),
    })
    .optional()
    .describe("Critical alerts and warnings go here."),
  repeatHours: z
    .int()
    .min(1)
    .max(168)
    .default(4)
    .describe("Hours after which an alert that goes on is sent again."),
});

/** `openclaw-fleet:monitoring`. */
export const monitoringSettings = z.strictObject({
  enabled: z
    .boolean()
    .optional()
    .describe(
      "Prometheus, Grafana, Loki, Tempo and Alertmanager in the cluster (eks); as the preset says when left out. false takes them away, and where nothing is kept (staging, dev) their volumes.",
    ),
  metricsDays: z
    .int()
    .min(1)
    .max(395)
    .default(15)
    .describe(
      "Days for which metrics are kept. Many more may plan a larger volume: see docs/operations.md first.",
    ),
  logMiBPerDay: z
    .number()
    .positive()
    .optional()
    .describe("Logs of the whole fleet a day, MiB; estimated from nodes and users when left out."),
  traces: z
    .boolean()
    .default(true)
    .describe("Keep traces of turns for three days. A change adds or removes Tempo only."),
  alerts: alerts.default({ repeatHours: 4 }).describe("Who is told. Nobody is when left out."),
  maintenanceHours: z
    .number()
    .positive()
    .default(2)
    .describe("Hours after which a node in maintenance is reminded of."),
  tokenPricesUsdPerMillion: z
    .record(z.string().regex(/^[a-z_]+$/, "a kind of tokens, e.g. input"), z.number().min(0))
    .default({})
    .describe(
      "US dollars for a million tokens by kind (input, output, …), for the cost dashboard; what OpenClaw itself reports is shown beside it.",
    ),
});

export type MonitoringSettings = z.infer<typeof monitoringSettings>;
