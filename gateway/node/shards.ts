import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { bootClock } from "../clock.ts";
import type { ShardConfig } from "../config.ts";
import { type ChannelsReport, LEASE, type ShardId } from "../contract.ts";
import type { KeeperClient } from "../keeper/client.ts";
import type { ShardReport } from "../leases/store.ts";
import { connectGateway } from "../openclaw/client.ts";
import { checkGatewayConfig } from "../openclaw/launch.ts";
import type { GatewayPort } from "../openclaw/port.ts";
import { nodeState } from "../ownership/report.ts";
import type { OwnershipState } from "../ownership/state.ts";
import { CHECK_TURN } from "../readiness.ts";
import type { HistoryLost } from "../replication/manifest.ts";
import { BootSlots } from "../shard/boot-slots.ts";
import { probeStartup } from "../shard/probe.ts";
import { ShardRunner } from "../shard/runner.ts";
import { systemTimers } from "../shard/timers.ts";
import type { RunnerEvent, RunnerReport } from "../shard/types.ts";
import { LocalStateStore } from "../state/local.ts";
import { deadNodes } from "../supervisor/dead-nodes.ts";
import { Gateways } from "../supervisor/gateways.ts";
import { ShardHost, type ShardHostDeps } from "../supervisor/shard-host.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import { FleetTurn, RECYCLE_LEASE, UPDATE_LEASE } from "../supervisor/turn-taking.ts";
import type { NodeBase } from "./base.ts";
import { countEvent, countTransitions } from "./counted.ts";
import { type NodeReplicas, openReplicas } from "./replicas.ts";
import { shardReport } from "./reporting.ts";
import { Updates } from "./updates.ts";

export interface NodeShardsDeps {
  base: NodeBase;
  keeper: KeeperClient;
  /** Base address of the built-in model; empty while there is none. */
  modelUrl: () => string;
  /** A gateway here serves now. */
  serving: (shard: ShardId) => void;
  /** How the bots of a shard here do; null: it has none, or nobody has looked yet. */
  channels: (shard: ShardId) => ChannelsReport | null;
  /** Something changed that others should hear of. */
  onChange: () => void;
}

/** A model that needs longer for one answer is not well, ms. */
const TURN_MS = 60_000;

/** The shards of a node: who decides on them, and what carries it out. */
export class NodeShards {
  readonly gateways: Gateways;
  readonly replicas: NodeReplicas | null;
  readonly host: ShardHost;
  readonly supervisor: Supervisor;
  readonly #deps: NodeShardsDeps;
  readonly #base: NodeBase;
  readonly updates: Updates;
  readonly #recycle: FleetTurn;
  readonly #update: FleetTurn;
  readonly #bootSlots: BootSlots;
  readonly #takeovers = new Map<ShardId, number>();

  constructor(deps: NodeShardsDeps) {
    const { base } = deps;
    const { node, leases, compileCache } = base;
    this.#deps = deps;
    this.#base = base;
    this.#bootSlots = new BootSlots(node.cores);
    this.gateways = new Gateways({
      config: () => base.fleet,
      portBase: node.gatewayPortBase,
      modelBaseUrl: deps.modelUrl,
      compileCache,
      check: (release, config) =>
        checkGatewayConfig({
          release,
          config,
          compileCache,
          scratchDir: join(node.dataDir, "nodes", node.id),
        }),
    });
    const turn = (lease: typeof RECYCLE_LEASE | typeof UPDATE_LEASE) =>
      new FleetTurn({
        lease,
        node: node.id,
        incarnation: base.incarnation,
        bootId: base.boot,
        release: node.release.id,
        leases,
        view: () => this.state.view,
        abandoned: () => this.#unmovedMs(lease) > LEASE.ttlMs,
      });
    this.#recycle = turn(RECYCLE_LEASE);
    this.#update = turn(UPDATE_LEASE);
    this.replicas = this.#makeReplicas();
    this.host = this.#makeHost();
    this.supervisor = this.#makeSupervisor();
    this.updates = this.#makeUpdates();
  }

  /** What the rules know. */
  get state(): OwnershipState {
    return this.supervisor.state;
  }

  /** What this node tells the others of a shard. */
  report(report: RunnerReport): ShardReport {
    const { shard } = report;
    const base = shardReport(report, this.state, this.gateways.fault(shard));
    const replica = this.replicas?.report(shard);
    const channels = this.#deps.channels(shard);
    return { ...base, ...(replica && { replica }), ...(channels && { channels }) };
  }

  #makeReplicas(): NodeReplicas | null {
    const { node, fleet, boot, leases, metrics, logWith } = this.#base;
    return openReplicas({
      node,
      fleet: fleet.fleet,
      bootId: boot,
      leases,
      metrics,
      shards: () => this.#base.fleet.shards.map((shard) => shard.id),
      nodes: () => {
        const known = Object.keys(this.state.view?.nodes ?? {});
        return known.filter((id) => nodeState(this.state, id) === "active");
      },
      fenced: (shard, epoch, reason) => this.host.fenced(shard, epoch, reason),
      log: logWith,
      onChange: this.#deps.onChange,
    });
  }

  #makeHost(): ShardHost {
    const { node, fleet, incarnation, boot, shelf, history, sessions } = this.#base;
    const { log, logWith } = this.#base;
    return new ShardHost({
      replica: this.replicas?.state ?? null,
      historyLost: (shard, epoch, lost) => this.#historyLost(shard, epoch, lost),
      remember: (event, shard, detail) => history.add(event, shard, detail),
      fleet: fleet.fleet,
      node: node.id,
      incarnation,
      bootId: boot,
      state:
        this.replicas?.state ??
        new LocalStateStore({
          dataDir: node.dataDir,
          fleet: fleet.fleet,
          log: { warn: (message) => log.warn(message) },
        }),
      keeper: this.#deps.keeper,
      shelf,
      trials: {
        ask: (shard, gateway) => this.#ask(shard, gateway),
        publish: (shard, epoch, release) => this.#publishRelease(shard, epoch, release),
      },
      launch: (shard, release, stateDir) => this.gateways.launch(shard, release, stateDir),
      introduce: async (shard, gateway) => {
        const own = await gateway.sessions();
        await sessions.rebuild(own.map((one) => ({ ...one, shard })));
      },
      runner: (options) => this.#makeRunner(options),
      heard: (shard, event) => this.#heard(shard, event),
      log: logWith,
    });
  }

  #makeUpdates(): Updates {
    const { node, logWith } = this.#base;
    return new Updates({
      node: node.id,
      release: node.release.id,
      turn: this.#update,
      view: () => this.state.view,
      shards: () => this.#base.fleet.shards.map(({ id }) => id),
      serving: () =>
        this.host.reports().flatMap(({ shard, state }) => (state === "serving" ? [shard] : [])),
      revision: () => this.state.config.revision,
      inUse: (releases) => this.#base.shelf.noteInUse(releases),
      update: (shard, release) => this.host.update(shard, release),
      log: logWith,
    });
  }

  /** A turn of an agent of the shard, by its owner itself. */
  async #ask(shard: ShardId, gateway: GatewayPort): Promise<void> {
    const { agents, turnBudgetMs } = this.#base.fleet;
    const agent = agents.find((each) => each.shards.includes(shard));
    if (!agent) return;
    const { reply } = await gateway.runTurn({
      runId: randomUUID(),
      agent: agent.name,
      ...CHECK_TURN,
      mayHaveRun: false,
      budgetMs: Math.min(TURN_MS, turnBudgetMs),
    });
    if (reply.trim() === "") throw new Error("the answer was empty");
  }

  /** Resolves when a renewal has said which release a shard runs. */
  async #publishRelease(shard: ShardId, epoch: number, release: string): Promise<void> {
    const { leases } = this.#base;
    const isHeld = () => leases.held().some((one) => one.shard === shard && one.epoch === epoch);
    leases.setRelease(shard, epoch, release);
    while (isHeld()) {
      const [{ view }] = await once(leases, "renewed");
      const lease = view.leases[shard];
      if (lease?.epoch === epoch && lease.release === release) return;
    }
    throw new Error("the lease was lost before it said what runs");
  }

  #makeRunner({ shard, launch, heard }: Parameters<ShardHostDeps["runner"]>[0]): ShardRunner {
    const { log, leases, logWith } = this.#base;
    const { replicas } = this;
    return new ShardRunner({
      shard: this.#shardConfig(shard),
      keeper: this.#deps.keeper,
      launch,
      gateway: (port, token) =>
        connectGateway({ port, token, onProblem: (message) => log.warn({ shard }, message) }),
      probe: probeStartup,
      holdDeadline: () => leases.deadline(shard),
      mayServe: async (which) => {
        if (await this.host.prove(which)) await replicas?.mayServe(which);
      },
      bootSlots: this.#bootSlots,
      recycleTurn: async (which, signal) => {
        const giveBack = await this.#recycle.take(signal);
        return () => giveBack(`recycled ${which}`);
      },
      clock: bootClock,
      timers: systemTimers,
      random: Math.random,
      log: (level, msg, fields) => logWith(level, msg, { shard, ...fields }),
      onEvent: heard,
      onTransition: countTransitions(this.#base.metrics),
    });
  }

  #makeSupervisor(): Supervisor {
    const { node, incarnation, boot, place, startedHere, leases, metrics } = this.#base;
    const { history, logWith, shelf } = this.#base;
    const { sameMachine } = place;
    return new Supervisor({
      self: { node: node.id, incarnation, bootId: boot, sameMachine },
      release: node.release.id,
      hasRelease: (id) => shelf.find(id) !== null,
      clock: bootClock,
      leases,
      alsoHeld: () => [...this.#recycle.held(), ...this.#update.held()],
      host: this.host,
      deadNodes: (view) =>
        deadNodes(view, { node: node.id, incarnation, bootId: boot, startedHere }),
      log: logWith,
      remember: (event, shard, detail) => history.add(event, shard, detail),
      tookOver: (shard, reason, since) => {
        metrics.failovers.inc({ shard, reason });
        this.#takeovers.set(shard, since);
      },
      onChange: this.#deps.onChange,
    });
  }

  #heard(shard: ShardId, event: RunnerEvent): void {
    const { metrics } = this.#base;
    if (event.type === "serving") {
      this.#deps.serving(shard);
      const since = this.#takeovers.get(shard);
      if (since !== undefined) metrics.failoverDuration.observe((bootClock.now() - since) / 1000);
      this.#takeovers.delete(shard);
    }
    countEvent(metrics, shard, event);
    if (event.type === "emptied" || event.type === "gave-up") this.gateways.forget(shard);
    this.supervisor.heard(shard, event);
  }

  #historyLost(shard: ShardId, epoch: number, lost: HistoryLost): void {
    const { metrics, log, history } = this.#base;
    // What is counted is a least: that something is missing counts, too.
    const many = Math.max(1, lost.changes);
    metrics.historyLost.inc({ shard }, many);
    log.error({ shard, epoch, lost }, `history of ${shard} was lost`);
    history.add("history lost", shard, `epoch ${epoch}: at least ${many} changes`);
  }

  #shardConfig(shard: ShardId): ShardConfig {
    const config = this.#base.fleet.shards.find((each) => each.id === shard);
    if (!config) throw new Error(`${shard} is not a shard of this fleet`);
    return config;
  }

  #unmovedMs(lease: ShardId): number {
    const watch = this.state.leaseWatch[lease];
    return watch ? bootClock.now() - watch.since : Number.POSITIVE_INFINITY;
  }
}
