import { z } from "zod";

/** Name of a secret in Secrets Manager; what it holds never stands in the settings. */
const secretName = (what: string) =>
  z
    .string()
    .regex(/^[\w/+=.@-]{1,512}$/, "the name of a secret in Secrets Manager")
    .optional()
    .describe(
      `Name of a secret in Secrets Manager that holds ${what} (eks). It begins with the fleet's name, since no other may be read. A new value is there within an hour, without a restart.`,
    );

/** The secret itself, for targets that have no Secrets Manager. */
const secretValue = (what: string) =>
  z.string().min(1).optional().describe(`${what}, as env:NAME or a Pulumi secret (hosts).`);

const secretUrl = (what: string) =>
  z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(`${what}, as env:NAME or a Pulumi secret (hosts).`);

const alerts = z.strictObject({
  slack: z
    .strictObject({
      channel: z
        .string()
        .regex(/^#\S+$/, "a channel, with its #")
        .describe("Channel of every alert."),
      secret: secretName("the address of an incoming webhook"),
      url: secretUrl("The address of the incoming webhook"),
    })
    .optional()
    .describe("Every alert goes here."),
  pagerDuty: z
    .strictObject({
      secret: secretName("the integration key (Events API v2)"),
      key: secretValue("The integration key (Events API v2)"),
    })
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
      secret: secretName("the account's password"),
      password: secretValue("The account's password"),
    })
    .optional()
    .describe("Critical alerts and warnings go here."),
  webhook: z
    .strictObject({
      secret: secretName("the address that alerts are posted to"),
      url: secretUrl("The address that alerts are posted to"),
    })
    .optional()
    .describe("Every alert is posted here, as Alertmanager's JSON."),
  heartbeat: z
    .strictObject({
      secret: secretName("the address that is called"),
      url: secretUrl("The address that is called"),
      minutes: z
        .int()
        .min(1)
        .max(60)
        .default(5)
        .describe("How often it is called, while monitoring itself is well."),
    })
    .optional()
    .describe(
      "An address called regularly; a service there warns you when the calls stop, since what watches cannot tell of its own end.",
    ),
  repeatHours: z
    .int()
    .min(1)
    .max(168)
    .default(4)
    .describe("Hours after which an alert that goes on is sent again."),
});

const canary = z.strictObject({
  enabled: z.boolean().default(true).describe("false: nobody talks to the fleet by itself."),
  minutes: z.number().min(1).max(60).default(5).describe("Minutes from one message to the next."),
  agent: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, "the name of an agent")
    .default("main")
    .describe("Whom it talks to. Each message costs a short turn of that agent's model."),
  slowSeconds: z
    .number()
    .min(0.5)
    .max(300)
    .default(6)
    .describe("An answer that takes longer is slow; two within two hours are told."),
});

/** `openclaw-fleet:monitoring`. */
export const monitoringSettings = z.strictObject({
  enabled: z
    .boolean()
    .optional()
    .describe(
      "Prometheus, Alertmanager and dashboards: in the cluster (eks) as the preset says, on one of the hosts (hosts) unless there is only one, when left out. false takes them away, and where nothing is kept (staging, dev) what they stored.",
    ),
  host: z
    .string()
    .optional()
    .describe(
      "Host that watches the others (hosts); when left out a witness, else the last, and that one stays when hosts are added.",
    ),
  metricsDays: z
    .int()
    .min(1)
    .max(395)
    .default(15)
    .describe(
      "Days for which metrics are kept. Many more may plan a larger volume: see docs/operations.md first.",
    ),
  metricsGiB: z
    .number()
    .min(1)
    .default(5)
    .describe("Disk that metrics may fill before the oldest go, GiB (hosts)."),
  grafana: z
    .boolean()
    .default(false)
    .describe("Put data source and dashboards where a Grafana installed on that host reads them."),
  canary: canary.prefault({}).describe("A conversation through the front door (hosts)."),
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
