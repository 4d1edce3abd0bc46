import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { bootClock } from "../../gateway/clock.ts";
import type { AgentConfig } from "../../gateway/config.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { ensureRelease } from "../../toolchain/release.ts";
import { createFleet, type DrillFleet, type FleetOptions } from "../drill/fleet.ts";
import { History } from "../drill/history.ts";
import type { Peer } from "../drill/peer.ts";
import {
  type ProcessInfo,
  ProcessWatch,
  readProcess,
  withDescendants,
} from "../drill/processes.ts";

/** A boot on a machine that runs other things too may take a minute; a takeover may take two. */
const PATIENCE_MS = 240_000;

export type ShardStatus = FleetStatus["shards"][number];

/**
 * Nodes, keepers and OpenClaw gateways of a test's own, without a deployment around them. What
 * happened is in the history, as the drill's observers see it.
 */
export class PrivateFleet implements AsyncDisposable {
  readonly fleet: DrillFleet;
  readonly history: History;
  readonly watch: ProcessWatch;

  private constructor(fleet: DrillFleet, history: History, watch: ProcessWatch) {
    this.fleet = fleet;
    this.history = history;
    this.watch = watch;
  }

  /** Only files; nothing runs yet. `observe` makes what the fleet's configuration points to. */
  static async create(
    options: Omit<FleetOptions, "release" | "cores">,
    history = PrivateFleet.history(),
    watching?: (callerOf: (peer: Peer) => number | null) => void,
  ): Promise<PrivateFleet> {
    let created: DrillFleet | null = null;
    const watch = new ProcessWatch(history, (stateDir) => created?.shardOf(stateDir) ?? null);
    watching?.((peer) => watch.callerOf(peer));
    created = await createFleet({
      ...options,
      release: await ensureRelease(),
      cores: availableParallelism(),
    });
    return new PrivateFleet(created, history, watch);
  }

  static history(): History {
    const startedAt = new Date().toISOString();
    const none = { nodes: [], shards: [], faults: [], release: "", command: "" };
    return new History({ seed: 0, minutes: 0, startedAt, ...none }, bootClock);
  }

  async start(): Promise<void> {
    this.watch.start();
    await Promise.all(this.fleet.nodes.map((node) => this.fleet.startNode(node)));
    await this.serving();
  }

  /** Changes agents as a deployment does. `null` removes one; a new one lives on the given shards. */
  agent(name: string, change: Partial<AgentConfig> | null): void {
    this.fleet.configure((config) => {
      const old = config.agents.find((agent) => agent.name === name);
      const others = config.agents.filter((agent) => agent !== old);
      const shards = change?.shards ?? old?.shards ?? config.shards.map(({ id }) => id);
      const fresh = { name, shards, homeShard: shards[0] ?? "", channels: {}, cron: [], env: {} };
      const agents = change ? [...others, { ...fresh, ...old, ...change }] : others;
      return {
        ...config,
        agents,
        shards: config.shards.map((shard) => ({
          ...shard,
          agents: agents.filter((a) => a.shards.includes(shard.id)).map((a) => a.name),
        })),
      };
    });
  }

  async shard(id: string): Promise<ShardStatus & { owner: string; pid: number }> {
    const found = (await this.fleet.status()).shards.find((shard) => shard.id === id);
    if (!found?.owner || !found.pid) throw new Error(`${id} has no owner with a process`);
    return { ...found, owner: found.owner, pid: found.pid };
  }

  /** Waits until the condition holds; fails with the last status that was seen. */
  async until(
    what: string,
    wanted: (status: FleetStatus) => boolean,
    withinMs = PATIENCE_MS,
  ): Promise<FleetStatus> {
    const deadline = performance.now() + withinMs;
    let last: unknown;
    for (;;) {
      try {
        const status = await this.fleet.status();
        if (wanted(status)) return status;
        last = status;
      } catch (error) {
        last = String(error);
      }
      if (performance.now() > deadline)
        throw new Error(`not in time: ${what}\n${JSON.stringify(last, null, 1)}`);
      await sleep(200);
    }
  }

  serving(): Promise<FleetStatus> {
    return this.until("every shard serves, every node is active", (status) => {
      const there = status.nodes.filter((node) => node.state === "active").length;
      return (
        there === this.fleet.nodes.length &&
        status.shards.every((shard) => shard.state === "serving" && shard.pid !== null)
      );
    });
  }

  /** The gateway's own process, killed where it stands. */
  killGateway(shard: string): number {
    const pid = this.watch.gatewayOf(shard);
    const info = pid === null ? null : readProcess(pid);
    if (!info) throw new Error(`${shard} has no gateway`);
    process.kill(info.pid, "SIGKILL");
    return info.pid;
  }

  /** Keeper, supervisor and gateways, stopped first so that none sees another one die. */
  killNode(node: string, shards: readonly string[]): void {
    const keeper = this.fleet.keeperPid(node);
    const below = keeper === null ? [] : withDescendants(keeper);
    const loose = shards.flatMap((shard) => this.watch.pidsOf(shard));
    const all = new Map<number, ProcessInfo>(below.map((info) => [info.pid, info]));
    for (const pid of loose) {
      const info = readProcess(pid);
      if (info) all.set(pid, info);
    }
    if (all.size === 0) throw new Error(`node ${node} has no process`);
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
      for (const { pid, start } of all.values()) {
        if (readProcess(pid)?.start === start) process.kill(pid, signal);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fleet.stop();
    this.watch.stop();
    this.fleet.remove();
  }
}
