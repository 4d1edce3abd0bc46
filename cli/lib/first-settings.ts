import type { Target } from "../../stacks/preset-table.ts";
import { awsLines, hostLines } from "./first-settings-cloud.ts";
import { setting, unset } from "./setting-lines.ts";

/** What `init` asks; everything left out has the default that docs/settings.md names. */
export interface Answers {
  /** @default local */
  target?: Target | undefined;
  preset?: string | undefined;
  users?: number | undefined;
  nodes?: number | undefined;
  shards?: number | undefined;
  port?: number | undefined;
  environment?: string | undefined;
  /** Name under which people reach the fleet. */
  domain?: string | undefined;
  /** US dollars a month. */
  budget?: number | undefined;
  /** AWS: twelve digits. */
  account?: string | undefined;
  region?: string | undefined;
  /** eks: ARNs of who has full rights in the cluster. */
  admin?: string[] | undefined;
  /** eks: CIDRs that reach the Kubernetes API, or `private` alone. */
  allow?: string[] | undefined;
  /** hosts: `user@address` each. */
  host?: string[] | undefined;
  /** hosts: what one costs a month, US dollars. */
  hostPrice?: number | undefined;
  /** Who encrypts the secrets in the file, e.g. `awskms://…`; a passphrase when left out. */
  secretsProvider?: string | undefined;
  /** `demo`, or `provider/model`. */
  models: string;
  /** Address of an OpenAI-compatible server, for a provider that OpenClaw does not know. */
  baseUrl?: string | undefined;
  /** Variable that holds the provider's key; {@link keyVariable} when left out. */
  keyEnv?: string | undefined;
}

/** `ANTHROPIC_API_KEY`: where people have a provider's key. */
export const keyVariable = (provider: string): string =>
  `${provider.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}_API_KEY`;

/** Provider and model of `provider/model`. */
export function splitModel(models: string): { provider: string; model: string } {
  const slash = models.indexOf("/");
  return { provider: models.slice(0, slash), model: models.slice(slash + 1) };
}

const TARGETS: Readonly<Record<Target, string>> = {
  local: "processes on this machine",
  hosts: "Linux machines that exist, over SSH",
  ec2: "machines on AWS, made here",
  eks: "a Kubernetes cluster on AWS, made here",
};

/** Text of a new Pulumi.<stack>.yaml: few lines, each with what it means. No secret. */
export function firstSettings(answers: Answers): string {
  const { target = "local", secretsProvider } = answers;
  return [
    "# Settings of this stack. All of them: ./fleet docs. What they make: ./fleet plan.",
    ...(secretsProvider === undefined ? [] : [`secretsprovider: ${secretsProvider}`]),
    "config:",
    setting("target", target, TARGETS[target]),
    ...environmentLines(answers, target),
    ...(target === "ec2" || target === "eks" ? awsLines(answers, target) : []),
    ...(target === "hosts" ? hostLines(answers) : []),
    ...modelLines(answers),
    ...sizeLines(answers, target),
    "",
  ].join("\n");
}

const ENVIRONMENTS: Readonly<Record<string, string>> = {
  prod: "what holds data is protected from being deleted",
  staging: "gone after one destroy",
  dev: "gone after one destroy",
};

function environmentLines({ environment }: Answers, target: Target): string[] {
  if (environment === undefined) {
    return target === "local" ? [] : [unset("environment", "prod", "protects data; unset: dev")];
  }
  return [setting("environment", environment, ENVIRONMENTS[environment] ?? "")];
}

function sizeLines(answers: Answers, target: Target): string[] {
  const { preset, users, nodes, shards, port } = answers;
  const lines = [
    preset === undefined
      ? unset("preset", "small", "or solo (1 node), medium, enterprise")
      : setting("preset", preset, "a row of ./fleet plan --compare"),
    ...(users === undefined ? [] : [setting("users", users, "at once")]),
  ];
  if (target === "local") {
    lines.push(
      nodes === undefined
        ? unset("nodes", "2", "unset: as the preset says, without one 2 nodes and 2 shards")
        : setting("nodes", nodes, "groups of processes that may be lost one by one"),
      shards === undefined
        ? unset("shards", "2", "OpenClaw gateways, 1.3 GiB of memory each")
        : setting("shards", shards, "OpenClaw gateways, 1.3 GiB of memory each"),
    );
  } else {
    if (nodes !== undefined) lines.push(setting("nodes", nodes, "machines that run gateways"));
    if (shards !== undefined) lines.push(setting("shards", shards, "OpenClaw gateways"));
  }
  return [
    ...lines,
    ...(port === undefined ? [] : [setting("port", port, "where people reach it")]),
  ];
}

function modelLines({ models: wanted, baseUrl, keyEnv }: Answers): string[] {
  if (wanted === "demo") {
    return [setting("models", "demo", "a built-in echo model, to try things without a key")];
  }
  const { provider, model } = splitModel(wanted);
  const lines = [
    "  openclaw-fleet:models:",
    `    primary: ${JSON.stringify(wanted)}`,
    "    providers:",
    `      ${JSON.stringify(provider)}:`,
    `        apiKey: env:${keyEnv ?? keyVariable(provider)} # from the environment of ./fleet up`,
  ];
  if (baseUrl !== undefined) {
    lines.push(
      `        baseUrl: ${JSON.stringify(baseUrl)}`,
      "        api: openai-completions",
      `        models: [{ id: ${JSON.stringify(model)}, name: ${JSON.stringify(model)} }]`,
    );
  }
  return lines;
}
