import { createHash } from "node:crypto";
import type { FleetConfig, Release } from "../config.ts";
import { GATEWAY_PORT_SPAN, type ShardId } from "../contract.ts";
import { agentFiles, agentsEnv, gatewayConfig } from "../openclaw/config.ts";
import {
  freePortSpan,
  gatewayLaunch,
  newGatewayToken,
  writeGatewayConfig,
} from "../openclaw/launch.ts";
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
  token: string;
  stateDir: string;
  /** Settings that its files were last written from. */
  written: FleetConfig;
  /** The last settings that it was started with or took. */
  good: FleetConfig;
  /** As text, to see whether a running process has another environment than the settings say. */
  env: string;
}

/** Writes what OpenClaw reads: at a start, and again when the fleet's settings change. */
export class Gateways {
  readonly #config: () => FleetConfig;
  readonly #portBase: number;
  readonly #modelBaseUrl: () => string;
  readonly #started = new Map<ShardId, Started>();
  /** Settings that a shard's OpenClaw refused, why, and those to be used in their place. */
  readonly #refused = new Map<ShardId, { config: FleetConfig; why: string; good: FleetConfig }>();

  constructor(options: {
    config: () => FleetConfig;
    portBase: number;
    /** Base URL of this node's demo model; "" when the fleet does not use it. */
    modelBaseUrl: () => string;
  }) {
    this.#config = options.config;
    this.#portBase = options.portBase;
    this.#modelBaseUrl = options.modelBaseUrl;
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
      token,
      stateDir,
      written: fleet,
      good: fleet,
      env: JSON.stringify(env),
    });
    await this.#write(shard, fleet);
    return { ...gatewayLaunch({ release, stateDir, port, env }), port, token };
  }

  /**
   * Brings a running shard's files up to date; OpenClaw reloads by itself. `restart`: something
   * changed that only a new process takes.
   */
  async update(shard: ShardId): Promise<{ changed: boolean; restart: boolean }> {
    const started = this.#started.get(shard);
    if (!started) return { changed: false, restart: false };
    const fleet = this.#inForce(shard);
    const env = JSON.stringify(agentsEnv(fleet, shard));
    const changed = await this.#write(shard, fleet);
    return { changed, restart: env !== started.env };
  }

  forget(shard: ShardId): void {
    this.#started.delete(shard);
  }

  /** Something was written since it was started, or since it last said that it takes it. */
  unjudged(shard: ShardId): boolean {
    const started = this.#started.get(shard);
    return started !== undefined && started.written !== started.good;
  }

  /** OpenClaw takes what was written last. */
  accept(shard: ShardId): void {
    const started = this.#started.get(shard);
    if (!started) return;
    started.good = started.written;
    if (this.#refused.get(shard)?.good !== started.good) this.#refused.delete(shard);
  }

  /**
   * OpenClaw refused what was written last. What it took before is put back, and used until there are
   * other settings: with the refused ones it would not start again.
   */
  async refuse(shard: ShardId, why: string): Promise<void> {
    const started = this.#started.get(shard);
    if (!started) return;
    this.blame(shard, why, started.written);
    await this.#write(shard, started.good);
  }

  /** The newest settings cannot be used for this shard, say why. */
  blame(shard: ShardId, why: string, config = this.#config()): void {
    const started = this.#started.get(shard);
    if (started) this.#refused.set(shard, { config, why, good: started.good });
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

  async #write(shard: ShardId, fleet: FleetConfig): Promise<boolean> {
    const started = this.#started.get(shard) as Started;
    const { port, token, stateDir } = started;
    const modelBaseUrl = this.#modelBaseUrl();
    const config = gatewayConfig({ fleet, shard, port, stateDir, token, modelBaseUrl });
    const changed = await writeGatewayConfig(stateDir, config, agentFiles(fleet, shard, stateDir));
    // Other shards' settings changed: what it took before, it takes now.
    if (!changed && started.good === started.written) started.good = fleet;
    started.written = fleet;
    return changed;
  }
}
