const text = { type: "string" };
const whole = { type: "integer" };
const flag = { type: "boolean" };
const any = { $ref: "pulumi.json#/Any" };
const map = { type: "object", additionalProperties: any };

const FLEET_INPUTS = {
  dataDir: text,
  fleet: text,
  target: text,
  preset: text,
  host: text,
  port: whole,
  keepData: flag,
  memoryMiB: whole,
  diskMiB: whole,
  shards: map,
  agents: map,
  models: any,
  openclaw: map,
  channelBinding: map,
  tokens: map,
  trustedProxies: { type: "array", items: text },
  scrapers: { type: "array", items: text },
  limits: map,
  turnBudgetMs: whole,
};

const NODE_INPUTS = {
  dataDir: text,
  node: text,
  release: { type: "object", additionalProperties: text },
  gatewayPortBase: whole,
  protected: flag,
  cores: { type: "number" },
};

const GONE_INPUTS = {
  cluster: text,
  endpoint: text,
  certificateAuthority: text,
  token: { type: "object", additionalProperties: any },
  apiVersion: text,
  kind: text,
  namespace: text,
  labelSelector: text,
  deadlineSeconds: { type: "number" },
};

const CREDENTIALS_INPUTS = {
  fleet: text,
  certificates: map,
  passwords: { type: "array", items: text },
  sshKeys: { type: "array", items: text },
  tokens: map,
  certificateDays: whole,
  generation: whole,
  authorityStep: whole,
};

const ARTIFACT_INPUTS = {
  host: { type: "object", additionalProperties: any },
  artifact: text,
  needs: map,
};

const DRAINED_INPUTS = {
  host: { type: "object", additionalProperties: any },
  artifact: text,
  fleet: text,
  node: text,
  apiPort: whole,
  machine: { type: "object", additionalProperties: text },
  adminToken: { ...text, secret: true },
};

const RELEASE_INPUTS = {
  host: { type: "object", additionalProperties: any },
  fleet: text,
  node: text,
  artifact: text,
  plan: any,
  secrets: { type: "object", additionalProperties: text, secret: true },
  apiPort: whole,
  keepData: flag,
  protected: flag,
  machine: { type: "object", additionalProperties: text },
};

const HOST_FLEET_INPUTS = {
  fleet: text,
  endpoint: text,
  otherFronts: { type: "array", items: text },
  caCertificate: text,
  nodes: { type: "array", items: text },
  shards: { type: "array", items: text },
  adminToken: { ...text, secret: true },
  clientToken: { ...text, secret: true },
  hosts: map,
  unit: text,
  releases: { type: "object", additionalProperties: text },
  founding: any,
};

/** Names and kinds of this provider's resources, as Pulumi's tools ask for them. */
export function providerSchema(version: string): Record<string, unknown> {
  return {
    name: "openclaw",
    version,
    description:
      "OpenClaw fleets on this machine and on hosts, and waits for what clusters take away",
    resources: {
      "openclaw:host:Artifact": {
        description: "A release on one host, unpacked and checked; the one before it stays.",
        inputProperties: ARTIFACT_INPUTS,
        requiredInputs: Object.keys(ARTIFACT_INPUTS),
        properties: {
          ...ARTIFACT_INPUTS,
          condition: text,
          hostKey: text,
          previous: text,
          parts: { type: "array", items: any },
        },
      },
      "openclaw:host:Credentials": {
        description: "Tokens, passwords, keys and certificates of a fleet on several hosts.",
        inputProperties: CREDENTIALS_INPUTS,
        requiredInputs: Object.keys(CREDENTIALS_INPUTS),
        properties: {
          ...CREDENTIALS_INPUTS,
          kept: { ...any, secret: true },
          secrets: { type: "object", additionalProperties: text, secret: true },
          caCertificate: text,
          expires: { type: "object", additionalProperties: text },
        },
      },
      "openclaw:host:Drained": {
        description: "A node that is emptied before its machine is stopped or exchanged.",
        inputProperties: DRAINED_INPUTS,
        requiredInputs: Object.keys(DRAINED_INPUTS).filter((name) => name !== "host"),
        properties: { ...DRAINED_INPUTS, drained: text },
      },
      "openclaw:host:Fleet": {
        description:
          "There when every shard serves and a chat was answered through the front door.",
        inputProperties: HOST_FLEET_INPUTS,
        requiredInputs: Object.keys(HOST_FLEET_INPUTS).filter(
          (name) => name !== "founding" && name !== "otherFronts",
        ),
        properties: { ...HOST_FLEET_INPUTS, state: text, founded: flag },
      },
      "openclaw:host:Release": {
        description: "One host as its plan says: packages, users, files and units.",
        inputProperties: RELEASE_INPUTS,
        requiredInputs: Object.keys(RELEASE_INPUTS).filter((name) => name !== "machine"),
        properties: {
          ...RELEASE_INPUTS,
          state: text,
          drift: { type: "object", additionalProperties: text },
          revision: text,
          hostKey: text,
        },
      },
      "openclaw:kube:Gone": {
        description: "Makes nothing. Its delete waits until no such object is left in a cluster.",
        inputProperties: GONE_INPUTS,
        requiredInputs: [
          "cluster",
          "endpoint",
          "certificateAuthority",
          "token",
          "apiVersion",
          "kind",
          "deadlineSeconds",
        ],
        properties: GONE_INPUTS,
      },
      "openclaw:local:Fleet": {
        description: "Data directory, configuration, lease store and tokens of a fleet.",
        inputProperties: FLEET_INPUTS,
        requiredInputs: Object.keys(FLEET_INPUTS),
        properties: {
          ...FLEET_INPUTS,
          clientTokens: { type: "array", items: text, secret: true },
          adminToken: { ...text, secret: true },
          peerToken: { ...text, secret: true },
          revision: text,
        },
      },
      "openclaw:local:Node": {
        description: "One node of a fleet: router, supervisor and its gateways.",
        inputProperties: NODE_INPUTS,
        requiredInputs: ["dataDir", "node", "release", "gatewayPortBase", "protected"],
        properties: { ...NODE_INPUTS, state: text },
      },
    },
  };
}
