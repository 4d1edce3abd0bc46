import { createHash } from "node:crypto";
import type { FleetConfig, Release } from "../config.ts";
import { GATEWAY_PORT_SPAN, type ShardId } from "../contract.ts";
import { agentFiles, agentsEnv, configShape, gatewayConfig } from "../openclaw/config.ts";
import type { JsonObject } from "../openclaw/json.ts";
import {
  type ConfigCheck,
  freePortSpan,
  gatewayLaunch,
  newGatewayToken,
  writeGatewayConfig,
  writeGatewayToken,
} from "../openclaw/launch.ts";
import { removeLeftLeases } from "../openclaw/left-leases.ts";
import type { Launch } from "../shard/types.ts";

/** Kernels hand out ports from here on by themselves (ip_local_port_range, Linux's default). */
const EPHEMERAL_FROM = 32_768;

/**
 * Where to begin looking for free ports. Two fleets that start at the same time would otherwise find
 * the same span free, and one of their gateways would fail to start.
 */
function firstSpan(base: number, stateDir: string): number {
  const spans = Math.max(1, Math.floor((EPHEMERAL_FROM - base) / GATEWAY_PORT_SPAN) - 1);
  const place = createHash("sha256").update(stateDir).digest().readUInt32BE() % spans;
  return base + place * GATEWAY_PORT_SPAN;
}

interface Started {
  port: number;
  stateDir: string;
  release: Release;
  /** The settings in force. */
  good: FleetConfig;
  /** Those as OpenClaw reads them, apart from what differs between nodes. */
  shape: string;
  /** As text, to see whether a running process has another environment than the settings say. */
  env: string;
}

/** Asks OpenClaw about a configuration. @throws when it gave no answer */
export type CheckConfig = (release: Release, config: JsonObject) => Promise<ConfigCheck>;

/** OpenClaw refuses new settings of a shard; those before stay in force. */
export class SettingsRefused extends Error {
  override readonly name = "SettingsRefused";
}

/** Writes what OpenClaw reads: at a start, and again when the fleet's settings change. */
export class Gateways {
  readonly #config: () => FleetConfig;
  readonly #portBase: number;
  readonly #modelBaseUrl: () => string;
  readonly #compileCache: string | null | undefined;
  readonly #check: CheckConfig;
  readonly #started = new Map<ShardId, Started>();
  /** What OpenClaw said of the newest settings: many shards have the same configuration. */
  #verdicts: { config: FleetConfig; of: Map<string, Promise<ConfigCheck>> } | null = null;
  /** Settings that cannot be used for a shard, why, and those to be used in their place. */
  readonly #refused = new Map<ShardId, { config: FleetConfig; why: string; good: FleetConfig }>();

  constructor(options: {
    config: () => FleetConfig;
    portBase: number;
    /** Base URL of this node's demo model; "" when the fleet does not use it. */
    modelBaseUrl: () => string;
    /** From openCompileCache. @default wherever OpenClaw has its own */
    compileCache?: string | null;
    check: CheckConfig;
  }) {
    this.#config = options.config;
    this.#portBase = options.portBase;
    this.#modelBaseUrl = options.modelBaseUrl;
    this.#compileCache = options.compileCache;
    this.#check = options.check;
  }

  /** A new port and token for each start: nothing that outlived an older one can pass for it. */
  async launch(shard: ShardId, release: Release, stateDir: string): Promise<Launch> {
    const taken = [...this.#started].filter(([id]) => id !== shard).map(([, { port }]) => port);
    const port = await freePortSpan(firstSpan(this.#portBase, stateDir), new Set(taken));
    const token = newGatewayToken();
    const fleet = this.#inForce(shard);
    const env = agentsEnv(fleet, shard);
    this.#started.set(shard, {
      port,
      stateDir,
      release,
      good: fleet,
      shape: JSON.stringify(configShape(fleet, shard)),
      env: JSON.stringify(env),
    });
    // Its cage is empty, and whoever owned it elsewhere is fenced: nobody holds anything in it any more.
    removeLeftLeases(stateDir);
    await writeGatewayToken(stateDir, token);
    await this.#write(shard, fleet);
    const compileCache = this.#compileCache;
    return { ...gatewayLaunch({ release, stateDir, port, env, compileCache }), port, token };
  }

  /**
   * Brings a running shard's files up to date; OpenClaw reloads by itself. `restart`: something
   * changed that only a new process takes. A running gateway would ignore a file that OpenClaw finds
   * invalid, but one that starts with it does not come up: such settings are never written.
   * @throws SettingsRefused
   */
  async update(shard: ShardId): Promise<{ changed: boolean; restart: boolean }> {
    const started = this.#started.get(shard);
    const fleet = this.#config();
    if (!started || this.fault(shard) !== null) return { changed: false, restart: false };
    try {
      const env = JSON.stringify(agentsEnv(fleet, shard));
      const shape = JSON.stringify(configShape(fleet, shard));
      if (shape !== started.shape) await this.#ask(fleet, started.release, shape);
      // It was started anew meanwhile, from these settings or newer ones.
      if (this.#started.get(shard) !== started) return { changed: false, restart: false };
      const changed = await this.#write(shard, fleet);
      started.good = fleet;
      started.shape = shape;
      this.#refused.delete(shard);
      return { changed, restart: env !== started.env };
    } catch (error) {
      const why = (error as Error).message;
      this.#refused.set(shard, { config: fleet, why, good: started.good });
      throw new SettingsRefused(why, { cause: error });
    }
  }

  forget(shard: ShardId): void {
    this.#started.delete(shard);
  }

  /** Why the newest settings are not in force on a shard; null: they are. */
  fault(shard: ShardId): string | null {
    const refused = this.#refused.get(shard);
    return refused?.config === this.#config() ? refused.why : null;
  }

  #inForce(shard: ShardId): FleetConfig {
    const refused = this.#refused.get(shard);
    return refused?.config === this.#config() ? refused.good : this.#config();
  }

  /** Throws when OpenClaw refuses them. One that gives no answer is no reason to wait for ever. */
  async #ask(config: FleetConfig, release: Release, shape: string): Promise<void> {
    if (this.#verdicts?.config !== config) this.#verdicts = { config, of: new Map() };
    const { of } = this.#verdicts;
    const verdict =
      of.get(shape) ??
      this.#check(release, JSON.parse(shape) as JsonObject).catch(
        (): ConfigCheck => ({ ok: true }),
      );
    of.set(shape, verdict);
    const said = await verdict;
    if (!said.ok) throw new Error(said.message);
  }

  #write(shard: ShardId, fleet: FleetConfig): Promise<boolean> {
    const { stateDir } = this.#started.get(shard) as Started;
    const modelBaseUrl = this.#modelBaseUrl();
    const config = gatewayConfig({ fleet, shard, stateDir, modelBaseUrl });
    return writeGatewayConfig(stateDir, config, agentFiles(fleet, shard, stateDir));
  }
}
