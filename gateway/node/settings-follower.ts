import { createHash } from "node:crypto";
import type { FleetConfig } from "../config.ts";
import type { NodeId, ShardId } from "../contract.ts";
import type { Logger } from "../observe/log.ts";
import type { LiveFleetView } from "../supervisor/fleet-view.ts";
import type { Gateways } from "../supervisor/gateways.ts";
import type { ShardHost } from "../supervisor/shard-host.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import type { ChannelWatch } from "./channel-watch.ts";
import { cronJobs } from "./cron-jobs.ts";

export interface SettingsFollowerDeps {
  config: () => FleetConfig;
  /** Names the state of the settings that `config` gives. */
  revision: () => string;
  /** Before anything else sees new settings: what they need that this process itself provides. */
  prepare: (config: FleetConfig) => Promise<void>;
  host: ShardHost;
  view: LiveFleetView;
  supervisor: Supervisor;
  gateways: Gateways;
  channels: ChannelWatch;
  log: Logger;
  remember: (event: string, shard: ShardId, detail: string) => void;
  onChange: () => void;
}

/** Brings the fleet's settings to what runs here, touching only what they changed. */
export class SettingsFollower {
  readonly #deps: SettingsFollowerDeps;
  #last: Promise<void> = Promise.resolve();
  #followed: string | null = null;

  constructor(deps: SettingsFollowerDeps) {
    this.#deps = deps;
  }

  /** The newest settings that everything here was brought to; null before the first. */
  get followed(): string | null {
    return this.#followed;
  }

  /** One change after the other, so that the last one wins. Never rejects. */
  follow(): Promise<void> {
    this.#last = this.#last
      .then(() => this.#follow())
      .catch((error: unknown) => {
        const why = (error as Error).message;
        this.#deps.log.error({ err: error }, `new settings could not be followed: ${why}`);
      });
    return this.#last;
  }

  /** What a gateway that serves needs beside its files: its bots and its jobs. */
  async settle(shard: ShardId): Promise<void> {
    this.#deps.channels.watch(shard);
    await this.#syncCron(shard);
  }

  async #follow(): Promise<void> {
    const { host, view, supervisor, prepare } = this.#deps;
    const config = this.#deps.config();
    const revision = this.#deps.revision();
    await prepare(config);
    host.configure(config.shards);
    view.configured();
    supervisor.configure(
      config.shards.map((shard) => shard.id),
      boundShards(config),
      createHash("sha256").update(JSON.stringify(config)).digest("hex").slice(0, 16),
    );
    for (const { shard } of host.reports()) await this.#update(shard);
    this.#followed = revision;
  }

  async #update(shard: ShardId): Promise<void> {
    const { gateways, host, log, remember, onChange } = this.#deps;
    if (!this.#deps.config().shards.some((each) => each.id === shard)) return;
    try {
      const { changed, restart } = await gateways.update(shard);
      if (restart) host.runner(shard).restart("its environment changed");
      else if (changed) log.info({ shard }, "settings changed; OpenClaw reloads them");
      if (!restart) await this.settle(shard);
    } catch (error) {
      const why = (error as Error).message;
      log.error(
        { shard },
        `the settings of ${shard} are refused: ${why}. It serves on with those before; mend them and deploy again`,
      );
      remember("settings-refused", shard, why);
    }
    onChange();
  }

  async #syncCron(shard: ShardId): Promise<void> {
    const { host, log } = this.#deps;
    const gateway = host.report(shard)?.endpoint?.gateway;
    if (!gateway) return;
    try {
      await gateway.syncCron(cronJobs(this.#deps.config(), shard));
    } catch (error) {
      const why = (error as Error).message;
      log.warn({ shard }, `cron jobs could not be brought to ${shard}: ${why}`);
    }
  }
}

/** Home shards of channels that the settings bind to a node. */
function boundShards(config: FleetConfig): Record<ShardId, NodeId> {
  const bound: Record<ShardId, NodeId> = {};
  for (const [node, channels] of Object.entries(config.channelBinding)) {
    for (const agent of config.agents) {
      if (Object.keys(agent.channels).some((name) => channels.includes(name))) {
        bound[agent.homeShard] = node;
      }
    }
  }
  return bound;
}
