import { z } from "zod";
import { bucketsSettings } from "../components/buckets/settings.ts";
import { budgetSettings } from "../components/budget/settings.ts";
import { cacheSettings } from "../components/cache/settings.ts";
import { clusterSettings } from "../components/cluster/settings.ts";
import { databaseSettings } from "../components/database/settings.ts";
import { dnsSettings } from "../components/dns/settings.ts";
import { edgeSettings } from "../components/edge/settings.ts";
import { filesSettings } from "../components/files/settings.ts";
import { ec2Settings } from "../components/hosts-ec2/settings.ts";
import { networkSettings } from "../components/network/settings.ts";
import { gpuSettings, karpenterSettings } from "../components/nodes/settings.ts";
import { monitoringSettings } from "../components/watch/settings.ts";
import { DEFAULT_PORT } from "../gateway/contract.ts";
import { adoptSettings, awsSettings, layersSetting } from "./aws/settings.ts";
import { CAPACITY, type CapacityName } from "./capacity.ts";
import {
  certificatesSettings,
  discoverySettings,
  frontSettings,
  hostsSetting,
  redisSettings,
  replicationSettings,
} from "./hosts/settings.ts";
import { limitsSettings } from "./limits.ts";
import { isMoment, MOMENT } from "./moment.ts";

/**
 * Every setting of a stack (`openclaw-fleet:<name>` in Pulumi.<stack>.yaml), with its description and
 * default. The editor schema, docs/settings.md and `fleet docs` are made from this.
 */
const jsonObject = () => z.record(z.string(), z.unknown());

const agentName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, "lower-case letters, digits, - and _, at most 64");

const cronJob = z.strictObject({
  name: z.string().min(1).describe("Name of the job, unique for the agent."),
  schedule: z
    .string()
    .regex(
      /^(every:?\s*\d+\s*[smhd]|\S+( \S+){4})$/,
      'a five-field cron expression, or "every 10m"',
    )
    .describe('Five-field cron expression, or "every 10m".'),
  timezone: z
    .string()
    .optional()
    .describe("IANA name, e.g. Europe/Vienna; the machine's own when left out."),
  message: z.string().min(1).describe("What the agent is told each time."),
  enabled: z.boolean().default(true).describe("false keeps the job and stops its runs."),
  deliver: z
    .strictObject({
      channel: z.string().min(1).describe("One of the agent's channels."),
      to: z.string().min(1).describe("OpenClaw's own target, e.g. the id of a Telegram chat."),
    })
    .optional()
    .describe("Where each answer is sent; it is kept, and sent nowhere, when left out."),
});

const agent = z.strictObject({
  name: agentName.describe("What people call it: header x-openclaw-agent, /agents/<name>/…"),
  replicas: z
    .int()
    .min(1)
    .optional()
    .describe(
      "Shards that host it; its conversations are spread over them. 1 when left out; main is on every shared shard.",
    ),
  placement: z
    .enum(["shared", "dedicated"])
    .default("shared")
    .describe("dedicated gives it shards of its own."),
  model: z
    .string()
    .regex(/^[^/\s]+\/\S+$/, "provider/model")
    .optional()
    .describe("provider/model; the fleet's models.primary when left out."),
  systemPrompt: z
    .string()
    .optional()
    .describe("Who it is and how it behaves. Changed while it runs."),
  channels: z
    .record(z.string(), jsonObject())
    .default({})
    .describe(
      "OpenClaw's own channel fields by channel name. They run on the agent's home shard only. Keys as env:NAME or Pulumi secrets.",
    ),
  cron: z.array(cronJob).default([]).describe("Jobs, run on the agent's home shard only."),
  memoryMiB: z
    .int()
    .min(1)
    .optional()
    .describe("Memory it needs when active, MiB; sizes.agentMemoryMiB when left out."),
  env: z
    .record(z.string(), z.string())
    .default({})
    .describe(
      "Environment of its shards. Values are kept as secrets; env:NAME takes one from where pulumi runs.",
    ),
});

export const modelsObject = z.strictObject({
  primary: z
    .string()
    .regex(/^[^/\s]+\/\S+$/, "provider/model")
    .describe("provider/model that agents use."),
  fallbacks: z
    .array(z.string().regex(/^[^/\s]+\/\S+$/, "provider/model"))
    .default([])
    .describe("Tried in order when the primary fails."),
  providers: z
    .record(z.string(), jsonObject())
    .default({})
    .describe(
      "OpenClaw's own provider fields by provider name; apiKey as env:NAME or a Pulumi secret.",
    ),
});

const size = (name: CapacityName) =>
  z
    .number()
    .positive()
    .optional()
    .describe(
      `${CAPACITY[name].meaning}, ${CAPACITY[name].unit}. Planned: ${CAPACITY[name].value}.`,
    );

const sizes = z.strictObject({
  usersPerShard: size("usersPerShard"),
  shardMemoryMiB: size("shardMemoryMiB"),
  agentMemoryMiB: size("agentMemoryMiB"),
  recycleMiB: size("recycleMiB"),
  runtimeMemoryMiB: size("runtimeMemoryMiB"),
  coresPerShard: size("coresPerShard"),
  turnsPerSecond: size("turnsPerSecond"),
  shardDiskMiB: size("shardDiskMiB"),
  nodeMemoryMiB: z
    .number()
    .positive()
    .optional()
    .describe("Memory of a node, MiB; as planned when left out."),
  nodeCores: z
    .number()
    .positive()
    .optional()
    .describe("Cores of a node; as planned when left out."),
  nodeMemoryMaxMiB: z
    .int()
    .positive()
    .optional()
    .describe(
      "Most memory that a node may take with all its gateways, MiB: above it the kernel ends one of them. At least what is planned for a node; no limit when left out (hosts).",
    ),
  hostMonthlyUsd: z
    .number()
    .nonnegative()
    .optional()
    .describe("What one of your own hosts costs a month, US dollars, for the plan's sum (hosts)."),
});

const token = () => z.string().min(24, "at least 24 characters");

export const settingsSchema = z.strictObject({
  target: z
    .enum(["local", "hosts", "ec2", "eks"])
    .default("local")
    .describe("Where the fleet runs: this machine, existing hosts over SSH, AWS EC2, or AWS EKS."),
  preset: z
    .enum(["solo", "small", "medium", "enterprise"])
    .optional()
    .describe("Row of the preset table; the smallest that admits users and nodes when left out."),
  users: z.int().min(1).optional().describe("Concurrent users to plan for."),
  nodes: z
    .int()
    .min(1)
    .optional()
    .describe("Nodes; as the preset says when left out, 2 on a local stack."),
  shards: z
    .int()
    .min(1)
    .optional()
    .describe(
      "Shared shards; one for each 50 users and at least one a node when left out, 2 on a local stack.",
    ),
  agents: z
    .array(agent)
    .default([])
    .describe("Agents besides main, or main itself to change it. The agent main always exists."),
  channelBinding: z
    .record(z.string(), z.array(z.string()))
    .default({})
    .describe("Node id to channel names: the home shards of those channels prefer that node."),
  models: z
    .union([z.literal("demo"), modelsObject])
    .default("demo")
    .describe(
      "demo is a built-in echo model that needs no key and no network; otherwise primary, fallbacks and providers.",
    ),
  openclaw: jsonObject()
    .default({})
    .describe(
      "Raw settings merged last into every shard's openclaw.json, for what has no setting here.",
    ),
  domain: z.string().optional().describe("Name under which people reach the fleet (not on local)."),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .default(DEFAULT_PORT)
    .describe(
      "Port people talk to. On local the variable OPENCLAW_PORT gives another default; on hosts it is front.httpsPort, and not set it is 443.",
    ),
  host: z.string().default("127.0.0.1").describe("Address the port is opened on (local alone)."),
  hosts: hostsSetting,
  front: frontSettings
    .prefault({})
    .describe("What answers on the public ports (hosts; ec2 without a balancer)."),
  redis: redisSettings.prefault({}).describe("Sessions, limits and stored answers (hosts, ec2)."),
  replication: replicationSettings.prefault({}).describe("Replicas of shards (hosts, ec2)."),
  discovery: discoverySettings.prefault({}).describe("How nodes find each other (hosts, ec2)."),
  certificates: certificatesSettings
    .prefault({})
    .describe("Certificates between hosts (hosts, ec2)."),
  aws: awsSettings.optional().describe("Where on AWS, and as whom (ec2, eks)."),
  network: networkSettings.prefault({}).describe("The VPC, or one that exists (ec2, eks)."),
  dns: dnsSettings.prefault({}).describe("The zone that domain is in (ec2, eks)."),
  edge: edgeSettings.prefault({}).describe("The way in (ec2, eks)."),
  cache: cacheSettings.prefault({}).describe("Valkey, where the preset has one (ec2, eks)."),
  database: z
    .union([z.literal(false), databaseSettings])
    .optional()
    .describe(
      "PostgreSQL for what agents know: from preset medium up when left out, false for none, an object to have it in any preset (ec2, eks).",
    ),
  files: z
    .union([z.literal(false), filesSettings])
    .optional()
    .describe(
      "EFS for skills and knowledge that all nodes read: from preset medium up when left out, false for none, an object to have it in any preset (ec2, eks).",
    ),
  buckets: bucketsSettings.prefault({}).describe("Replicas and chat logs in S3 (ec2, eks)."),
  ec2: ec2Settings.prefault({}).describe("The machines (ec2)."),
  cluster: clusterSettings.prefault({}).describe("The Kubernetes cluster (eks)."),
  karpenter: karpenterSettings.prefault({}).describe("Who makes the cluster's nodes (eks)."),
  gpu: gpuSettings.optional().describe("Machines with GPUs, made when a pod asks (eks)."),
  monitoring: monitoringSettings
    .prefault({})
    .describe("Metrics and alerts (hosts, ec2, eks); logs and traces (eks)."),
  budget: budgetSettings.prefault({}).describe("Whom AWS tells of the bill (ec2, eks)."),
  layers: layersSetting,
  adopt: adoptSettings.default({}).describe("Layers that exist already (ec2, eks)."),
  sizes: sizes.default({}).describe("Overrides of planned numbers."),
  environment: z
    .enum(["prod", "staging", "dev"])
    .default("dev")
    .describe("prod protects the fleet from destroy and keeps its data."),
  keepData: z
    .boolean()
    .optional()
    .describe(
      "Keep conversations when the stack is destroyed; true for environment prod, else false. A change counts from the next up on.",
    ),
  ephemeral: z
    .strictObject({
      expires: z
        .string()
        .regex(MOMENT, "a moment in UTC, e.g. 2026-12-01T15:00:00Z")
        .refine(isMoment, "a moment in UTC, e.g. 2026-12-01T15:00:00Z")
        .describe("From then on ./fleet reap destroys the stack with all that it holds."),
    })
    .optional()
    .describe("A stack for a while (./fleet stage writes one); never one of environment prod."),
  budgetMonthlyUsd: z
    .number()
    .positive()
    .optional()
    .describe(
      "Plans that cost more a month, or whose cost is not known, are refused in every environment.",
    ),
  tags: z.record(z.string(), z.string()).default({}).describe("Put on every cloud resource."),
  policies: z
    .strictObject({
      severity: z
        .record(z.string(), z.enum(["advisory", "blocking", "mandatory"]))
        .default({})
        .describe("Id of a policy to what it does here; a mandatory one stays so."),
      exceptions: z
        .string()
        .optional()
        .describe(
          "File with exceptions, from the project's folder: policy, urn, reason, owner, expires.",
        ),
      instanceFamilies: z
        .array(z.string())
        .default([])
        .describe("Families of machines that may be used beside those of the presets."),
    })
    .prefault({})
    .describe("How the policies of ./fleet policy judge this stack."),
  tokens: z
    .strictObject({
      client: z
        .array(token())
        .min(1)
        .optional()
        .describe("Tokens of clients; one is made when left out."),
      admin: token().optional().describe("Token of administrators; made when left out."),
    })
    .default({})
    .describe("Own tokens instead of generated ones, as env:NAME or Pulumi secrets."),
  trustedProxies: z
    .array(z.string())
    .default([])
    .describe("Addresses whose X-Forwarded-For is believed."),
  scrapers: z
    .array(z.string())
    .default([])
    .describe("Addresses that may read metrics without a token, besides loopback."),
  limits: limitsSettings
    .optional()
    .describe("Requests and tokens a minute; what is more is answered 429. None when left out."),
  turnBudgetSeconds: z.int().min(1).default(600).describe("How long a turn may take."),
});

export type Settings = z.output<typeof settingsSchema>;
export type AgentSettings = Settings["agents"][number];
