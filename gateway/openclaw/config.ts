import { join } from "node:path";
import type { AgentConfig, FleetConfig } from "../config.ts";
import type { ShardId } from "../contract.ts";
import { DEMO_MODEL } from "../model/server.ts";
import { planChannels } from "./channels.ts";
import { GatewayConfigError, type JsonObject, mergeDeep } from "./json.ts";

export interface GatewayConfigRequest {
  fleet: FleetConfig;
  shard: ShardId;
  /** Absolute path of the shard's state directory on this node. */
  stateDir: string;
  /** Base URL of the demo model (ending in /v1); read only with `models: demo`. */
  modelBaseUrl: string;
}

/** Agents of a shard in the fleet's order; an id without an agent is a fault of the deployment. */
export function agentsOf(fleet: FleetConfig, shard: ShardId): AgentConfig[] {
  const found = fleet.shards.find((candidate) => candidate.id === shard);
  if (!found) throw new GatewayConfigError(`shard ${shard} is not in fleet.json`);
  return found.agents.map((name) => {
    const agent = fleet.agents.find((candidate) => candidate.name === name);
    if (!agent)
      throw new GatewayConfigError(`shard ${shard} names the agent ${name}, which is missing`);
    return agent;
  });
}

/**
 * The file with the token of a gateway's present start, mode 0600; openclaw.json names it. Its directory
 * is not replicated.
 */
export function tokenPath(stateDir: string): string {
  return join(stateDir, "tmp", "gateway-token");
}

/** Directory of an agent's workspace inside the shard's state. */
export function workspaceOf(stateDir: string, agent: string): string {
  return join(stateDir, "workspaces", agent);
}

/**
 * openclaw.json of one shard. The same settings give the same text, byte for byte, so that a file is
 * rewritten (and hot-reloaded) only when something of its own shard changed. Holds secrets.
 *
 * Nothing in it changes with a start: OpenClaw goes through its migrations again, for 2 to 3 s, when its
 * settings are not those of its last good start. So the port is an argument and the token a file.
 */
export function gatewayConfig(request: GatewayConfigRequest): JsonObject {
  const { fleet, shard, stateDir, modelBaseUrl } = request;
  const agents = agentsOf(fleet, shard);
  const home = agents.filter((agent) => agent.homeShard === shard);
  const channels = planChannels(home, fleet.openclaw.channels);
  const plain: JsonObject = {
    gateway: {
      controlUi: { enabled: false },
      http: {
        endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } },
      },
    },
    agents: {
      ownership: "explicit",
      defaults: {
        workspace: join(stateDir, "workspaces"),
        // No first-conversation ritual and no template files: an agent is what the settings say.
        skipBootstrap: true,
        model: defaultModel(fleet),
        // Off unless the settings turn it on: with replicas every shard would wake its own copy.
        heartbeat: { every: "0m" },
        // Owner of what belongs to no agent; without one OpenClaw's own jobs cannot be reconciled.
        systemAgent: { agentId: (home[0] ?? agents[0])?.name },
      },
      entries: Object.fromEntries(
        agents.map((agent) => [agent.name, agentEntry(agent, shard, stateDir)]),
      ),
    },
    models: { mode: "merge", providers: providers(fleet, modelBaseUrl) },
    // A shard that is no agent's home runs no job, OpenClaw's own included.
    cron: { enabled: home.length > 0 },
    channels: channels.channels,
    bindings: channels.bindings,
    commands: { restart: false },
    discovery: { mdns: { mode: "off" } },
    update: { checkOnStart: false },
    telemetry: { enabled: false },
    logging: {
      consoleStyle: "json",
      // The console is what the fleet reads; the file is a second copy that OpenClaw insists on.
      file: join(stateDir, "tmp", "openclaw.log"),
      maxFileBytes: LOG_FILE_BYTES,
    },
    ...(slim(fleet, agents) ? { plugins: { allow: [...SLIM_PLUGINS] } } : {}),
  };
  const { channels: _ours, ...raw } = fleet.openclaw;
  const merged = mergeDeep(plain, raw);
  // What the runtime itself stands on cannot be overridden.
  const fixed = mergeDeep(merged, {
    gateway: {
      mode: "local",
      bind: "loopback",
      auth: {
        mode: "token",
        token: { source: "file", provider: TOKEN_PROVIDER, id: "value" },
      },
    },
    secrets: {
      providers: {
        [TOKEN_PROVIDER]: { source: "file", path: tokenPath(stateDir), mode: "singleValue" },
      },
    },
  });
  const { port: _theirs, ...gateway } = fixed.gateway as JsonObject;
  return { ...fixed, gateway };
}

/** Our name among OpenClaw's `secrets.providers`. */
const TOKEN_PROVIDER = "openclaw-fleet";

/**
 * The configuration of a shard apart from where its state and its node's demo model are: OpenClaw takes
 * it, or not, on every node alike. Never for a gateway to run with.
 */
export function configShape(fleet: FleetConfig, shard: ShardId): JsonObject {
  return gatewayConfig({
    fleet,
    shard,
    stateDir: "/openclaw",
    modelBaseUrl: "http://127.0.0.1:1/v1",
  });
}

/** OpenClaw keeps five old files of this size beside the current one; its default is 100 MB. */
const LOG_FILE_BYTES = 10 * 2 ** 20;

/** Plugins of a gateway that needs no channel and no provider of its own: boots several seconds faster. */
const SLIM_PLUGINS = ["memory-core"] as const;

function slim(fleet: FleetConfig, agents: AgentConfig[]): boolean {
  return (
    fleet.models === "demo" &&
    fleet.openclaw.plugins === undefined &&
    fleet.openclaw.channels === undefined &&
    agents.every((agent) => Object.keys(agent.channels).length === 0)
  );
}

function agentEntry(agent: AgentConfig, shard: ShardId, stateDir: string): JsonObject {
  return {
    name: agent.name,
    workspace: workspaceOf(stateDir, agent.name),
    ...(agent.model === undefined ? {} : { model: agent.model }),
    // Where any entry has this block only those with one run heartbeats, so both kinds get one.
    heartbeat: agent.homeShard === shard ? {} : { every: "0m" },
  };
}

function defaultModel(fleet: FleetConfig): JsonObject {
  if (fleet.models === "demo") {
    return { primary: `${DEMO_MODEL.provider}/${DEMO_MODEL.model}`, fallbacks: [] };
  }
  return { primary: fleet.models.primary, fallbacks: fleet.models.fallbacks };
}

function providers(fleet: FleetConfig, modelBaseUrl: string): JsonObject {
  if (fleet.models !== "demo") return fleet.models.providers;
  return {
    [DEMO_MODEL.provider]: {
      baseUrl: modelBaseUrl,
      // The demo model asks for none; OpenClaw wants one to be set.
      apiKey: "demo",
      api: "openai-completions",
      models: [
        {
          id: DEMO_MODEL.model,
          name: "Echo",
          reasoning: false,
          input: ["text"],
          cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
          contextWindow: 120_000,
          maxTokens: 4_096,
        },
      ],
    },
  };
}

/** A file that belongs into the shard's state directory, with the text it must have; null: must not be. */
export interface AgentFile {
  path: string;
  content: string | null;
}

/** First line of the files we write, by which a later run knows that it may replace or remove them. */
export const OURS = "<!-- written by openclaw-fleet from the setting systemPrompt -->";

/**
 * The agents' instructions. OpenClaw reads AGENTS.md of an agent's workspace at every turn, so a
 * change needs no restart. An agent without a systemPrompt keeps a file of its own making.
 */
export function agentFiles(fleet: FleetConfig, shard: ShardId, stateDir: string): AgentFile[] {
  return agentsOf(fleet, shard).map((agent) => ({
    path: join(workspaceOf(stateDir, agent.name), "AGENTS.md"),
    content: agent.systemPrompt === undefined ? null : `${OURS}\n${agent.systemPrompt}\n`,
  }));
}

/**
 * Environment of the shard's gateway from its agents' `env`. One process has one environment: two
 * agents that want different values of one variable cannot share a shard.
 */
export function agentsEnv(fleet: FleetConfig, shard: ShardId): Record<string, string> {
  const env: Record<string, string> = {};
  const from: Record<string, string> = {};
  for (const agent of agentsOf(fleet, shard)) {
    for (const [name, value] of Object.entries(agent.env)) {
      if (name in env && env[name] !== value) {
        throw new GatewayConfigError(
          `agents ${from[name]} and ${agent.name} on shard ${shard} set env.${name} to different values; ` +
            "give one of them `placement: dedicated`",
        );
      }
      env[name] = value;
      from[name] = agent.name;
    }
  }
  return env;
}
