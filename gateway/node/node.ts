import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { join } from "node:path";
import { bootClock, bootId } from "../clock.ts";
import type { NodeConfig } from "../config.ts";
import { DRAIN, FRONT, LEASE, type ShardId } from "../contract.ts";
import { EXTEND_FD, KeeperClient } from "../keeper/client.ts";
import { LeaseAgent } from "../leases/agent.ts";
import type { ShardReport } from "../leases/store.ts";
import { type DemoModel, startDemoModel } from "../model/server.ts";
import { createLogger } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { connectGateway } from "../openclaw/client.ts";
import { COMPILE_CACHE_DIR, openCompileCache } from "../openclaw/compile-cache.ts";
import { checkGatewayConfig } from "../openclaw/launch.ts";
import { nodeState, standing } from "../ownership/report.ts";
import { orderFor } from "../ownership/take.ts";
import type { HistoryLost } from "../replication/manifest.ts";
import { FleetTls } from "../router/fleet-tls.ts";
import { type RouterHandle, startRouter } from "../router/router.ts";
import { openSessionStore } from "../sessions/open.ts";
import type { SessionStore } from "../sessions/store.ts";
import { BootSlots } from "../shard/boot-slots.ts";
import { probeStartup } from "../shard/probe.ts";
import { ShardRunner } from "../shard/runner.ts";
import { systemTimers } from "../shard/timers.ts";
import type { RunnerEvent, RunnerReport } from "../shard/types.ts";
import { LocalStateStore } from "../state/local.ts";
import { FleetConfigFile } from "../supervisor/config-file.ts";
import { StoreControl } from "../supervisor/control.ts";
import { deadNodes } from "../supervisor/dead-nodes.ts";
import { LiveFleetView } from "../supervisor/fleet-view.ts";
import { Gateways } from "../supervisor/gateways.ts";
import { ReleaseShelf } from "../supervisor/releases.ts";
import { ShardHost } from "../supervisor/shard-host.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import { RECYCLE_LEASE, RecycleTurns } from "../supervisor/turn-taking.ts";
import { ChannelWatch } from "./channel-watch.ts";
import { waitForCompany } from "./company.ts";
import { Condition } from "./condition.ts";
import { DiskWatch } from "./disk-watch.ts";
import { noteIncarnation } from "./incarnations.ts";
import { followLeases } from "./lease-events.ts";
import { type Place, placeOf } from "./place.ts";
import { killPortHolder } from "./port-holder.ts";
import { type NodeReplicas, openReplicas } from "./replicas.ts";
import { HistoryWriter, nodeReport, shardReport } from "./reporting.ts";
import { SettingsFollower } from "./settings-follower.ts";
import { stateControl } from "./state-control.ts";

/** Sessions are counted in the store, for people who look. */
const COUNT_EVERY_MS = 2_000;

/** One node: everything that is wired together here is made elsewhere and knows nothing of the rest. */
export class Node {
  readonly #node: NodeConfig;
  readonly #incarnation = randomBytes(8).toString("hex");
  readonly #boot = bootId();
  readonly #place: Place;
  /** Incarnations that were started in this directory; null where all nodes are on this machine. */
  readonly #startedHere: ReadonlySet<string> | null;
  readonly #tls: FleetTls | null;
  readonly #log;
  readonly #metrics = createMetrics();
  readonly #file: FleetConfigFile;
  readonly #leases: LeaseAgent;
  readonly #keeper: KeeperClient;
  readonly #sessions: SessionStore;
  readonly #shelf: ReleaseShelf;
  readonly #gateways: Gateways;
  readonly #host: ShardHost;
  readonly #supervisor: Supervisor;
  readonly #recycle: RecycleTurns;
  readonly #view: LiveFleetView;
  readonly #settings: SettingsFollower;
  readonly #history: HistoryWriter;
  readonly #bootSlots: BootSlots;
  readonly #disk: DiskWatch;
  readonly #channels: ChannelWatch;
  readonly #condition: Condition;
  readonly #replicas: NodeReplicas | null;
  readonly #changes = new EventEmitter();
  readonly #takeovers = new Map<ShardId, number>();
  #model: DemoModel | null = null;
  #router: RouterHandle | null = null;
  #reportDue = false;
  #stopped: Promise<void> | null = null;
  #sessionCounts: Record<ShardId, number> = {};
  #timer: NodeJS.Timeout | undefined;

  constructor(node: NodeConfig) {
    this.#node = node;
    this.#log = createLogger({ instanceId: node.id });
    this.#place = placeOf(node);
    this.#startedHere = this.#place.sameMachine
      ? null
      : noteIncarnation(join(node.dataDir, "nodes", node.id), this.#incarnation);
    this.#tls = node.tls
      ? new FleetTls({
          files: node.tls,
          log: {
            info: (message) => this.#log.info(message),
            error: (message) => this.#log.error(message),
          },
        })
      : null;
    this.#bootSlots = new BootSlots(node.cores);
    this.#disk = new DiskWatch({
      dir: node.dataDir,
      log: (level, message) => this.#log[level](message),
    });
    this.#shelf = new ReleaseShelf(node.dataDir);
    this.#shelf.put(node.release);
    this.#file = new FleetConfigFile(node.dataDir, {
      change: () => this.#settings.follow(),
      fault: (message) => this.#log.error(message),
    });
    this.#leases = new LeaseAgent({
      store: this.#place.leases,
      extendFd: EXTEND_FD,
      ...(this.#place.viewEveryMs === undefined
        ? {}
        : { timings: { viewEveryMs: this.#place.viewEveryMs } }),
    });
    this.#keeper = new KeeperClient({ onStop: () => void this.stopAndExit() });
    this.#sessions = openSessionStore({
      redisUrl: process.env.OPENCLAW_REDIS_URL || node.redisUrl,
      fleet: this.#file.current.fleet,
      dataDir: node.dataDir,
      log: {
        warn: (message) => this.#log.warn(message),
        error: (message) => this.#log.error(message),
      },
    });
    this.#history = new HistoryWriter(node.id, (entries) => this.#leases.appendHistory(entries));
    const compileCache = openCompileCache(join(node.dataDir, COMPILE_CACHE_DIR));
    if (compileCache === null) {
      const dir = join(node.dataDir, COMPILE_CACHE_DIR);
      this.#log.warn(
        `${dir} is not a directory of this user alone: gateways start some 4 s slower`,
      );
    }
    this.#gateways = new Gateways({
      config: () => this.#file.current,
      portBase: node.gatewayPortBase,
      modelBaseUrl: () => this.#model?.url ?? "",
      compileCache,
      check: (release, config) =>
        checkGatewayConfig({
          release,
          config,
          compileCache,
          scratchDir: join(node.dataDir, "nodes", node.id),
        }),
    });
    this.#recycle = new RecycleTurns({
      node: node.id,
      incarnation: this.#incarnation,
      bootId: this.#boot,
      release: node.release.id,
      leases: this.#leases,
      view: () => this.#supervisor.state.view,
      abandoned: () => this.#unmovedMs(RECYCLE_LEASE) > LEASE.ttlMs,
    });
    this.#replicas = this.#makeReplicas();
    this.#host = this.#makeHost();
    this.#supervisor = this.#makeSupervisor();
    this.#channels = new ChannelWatch({
      gateway: (shard) => this.#host.report(shard)?.endpoint?.gateway ?? null,
      wanted: (shard) =>
        this.#file.current.agents.some(
          (agent) => agent.homeShard === shard && Object.keys(agent.channels).length > 0,
        ),
      timers: systemTimers,
      log: (level, msg, fields) => this.#log[level](fields, msg),
    });
    this.#view = this.#makeView();
    this.#condition = new Condition({
      keeper: this.#keeper,
      view: this.#view,
      leasesSilentMs: () => this.#leases.silentMs,
    });
    this.#settings = new SettingsFollower({
      config: () => this.#file.current,
      prepare: async (config) => {
        await this.#ensureModel();
        await this.#router?.listenAt(config.host, config.port);
      },
      host: this.#host,
      view: this.#view,
      supervisor: this.#supervisor,
      gateways: this.#gateways,
      channels: this.#channels,
      log: this.#log,
      remember: (event, shard, detail) => this.#history.add(event, shard, detail),
      onChange: () => this.#changed(),
    });
  }

  #makeView(): LiveFleetView {
    return new LiveFleetView({
      node: this.#node.id,
      incarnation: this.#incarnation,
      storeKind: this.#place.leases.kind,
      clock: bootClock,
      config: () => this.#file.current,
      here: (shard) => {
        const report = this.#host.report(shard);
        return (
          report && {
            epoch: report.epoch,
            report: this.#shardReport(report),
            endpoint: report.admissionOpen ? report.endpoint : null,
          }
        );
      },
      deadline: (shard) => this.#leases.deadline(shard),
      standing: (shard) => standing(this.#supervisor.state, shard),
      nodeState: (id) => nodeState(this.#supervisor.state, id),
      lookAgain: () => void this.#look(),
    });
  }

  async start(): Promise<void> {
    const { peerHost, peerPort, address, front, id } = this.#node;
    const { sameMachine } = this.#place;
    const config = this.#file.current;
    await this.#ensureModel();
    const deciding = followLeases(this.#leases, {
      view: this.#view,
      supervisor: this.#supervisor,
      log: this.#log,
    });
    if (sameMachine) deciding.begin(null);
    this.#leases.on("renewed", ({ held }) => this.#replicas?.renewed(held));
    this.#router = await startRouter({
      view: this.#view,
      control: this.#makeControl(),
      sessions: this.#sessions,
      clock: bootClock,
      log: this.#log,
      metrics: this.#metrics,
      listen: { host: config.host, port: config.port },
      peer: { host: peerHost, port: peerPort ?? 0, address },
      tls: this.#tls,
      front,
      ...(front ? { frontIntervalMs: FRONT.probe.intervalMs } : {}),
      alone: !sameMachine,
      ...(sameMachine ? { killHolder: () => this.#killPortHolder() } : {}),
    });
    this.#tls?.watch();
    const router = this.#router;
    this.#view.attachCounts({
      held: () => router.held(),
      sessions: () => this.#sessionCounts,
    });
    this.#leases.start();
    this.#publish();
    this.#condition.start();
    const seen = await waitForCompany({
      read: () => this.#leases.read(),
      clock: bootClock,
      expected: sameMachine ? null : (config.nodes ?? 1),
      stopping: () => this.#stopped !== null,
    });
    if (this.#stopped !== null) return;
    await this.#settings.follow();
    deciding.begin(seen);
    this.#supervisor.start();
    this.#replicas?.start();
    this.#file.watch();
    this.#disk.start();
    this.#timer = setInterval(() => void this.#countSessions(), COUNT_EVERY_MS);
    this.#log.info(
      { incarnation: this.#incarnation, release: this.#node.release.id },
      `node ${id} is up`,
    );
  }

  /** A stop that fails must not linger: the keeper ends what is left as soon as this process is gone. */
  async stopAndExit(): Promise<never> {
    try {
      await this.stop();
      process.exit(0);
    } catch (error) {
      this.fault("the planned stop failed", error);
      process.exit(1);
    }
  }

  /** Planned: everything is drained and handed over. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const begun = bootClock.now();
    this.#log.info("stopping: draining all shards");
    this.#view.stop();
    this.#condition.tell();
    this.#supervisor.stop();
    await this.#supervisor.stopped;
    // Turns of other nodes' shards, for clients of this router, have what is left of the same budget.
    await this.#router?.close(DRAIN.termTurnsMs - (bootClock.now() - begun));
    await this.#history.flush();
    clearInterval(this.#timer);
    this.#condition.close();
    this.#tls?.close();
    this.#channels.close();
    this.#supervisor.close();
    await this.#replicas?.stop();
    this.#file.close();
    this.#disk.close();
    await this.#leases.stop();
    await this.#sessions.close();
    await this.#model?.close();
    this.#log.info("stopped");
    await this.#keeper.quit();
  }

  /** A fault of one request or event must not end the node; its gateways and leases are well. */
  fault(kind: string, error: unknown): void {
    this.#log.error({ err: error }, `${kind}: ${(error as Error)?.message ?? String(error)}`);
  }

  #makeReplicas(): NodeReplicas | null {
    return openReplicas({
      node: this.#node,
      fleet: this.#file.current.fleet,
      bootId: this.#boot,
      leases: this.#leases,
      metrics: this.#metrics,
      shards: () => this.#file.current.shards.map((shard) => shard.id),
      nodes: () => {
        const { state } = this.#supervisor;
        const known = Object.keys(state.view?.nodes ?? {});
        return known.filter((node) => nodeState(state, node) === "active");
      },
      fenced: (shard, epoch, reason) => this.#host.fenced(shard, epoch, reason),
      log: (level, msg, fields) => this.#log[level](fields ?? {}, msg),
      onChange: () => this.#changed(),
    });
  }

  #shardReport(report: RunnerReport): ShardReport {
    const { shard } = report;
    const base = shardReport(report, this.#supervisor.state, this.#gateways.fault(shard));
    const replica = this.#replicas?.report(shard);
    return replica ? { ...base, replica } : base;
  }

  #makeHost(): ShardHost {
    const { id, dataDir } = this.#node;
    return new ShardHost({
      replica: this.#replicas?.state ?? null,
      historyLost: (shard, epoch, lost) => this.#historyLost(shard, epoch, lost),
      remember: (event, shard, detail) => this.#history.add(event, shard, detail),
      fleet: this.#file.current.fleet,
      node: id,
      incarnation: this.#incarnation,
      bootId: this.#boot,
      state:
        this.#replicas?.state ??
        new LocalStateStore({
          dataDir,
          fleet: this.#file.current.fleet,
          log: { warn: (message) => this.#log.warn(message) },
        }),
      keeper: this.#keeper,
      shelf: this.#shelf,
      launch: (shard, release, stateDir) => this.#gateways.launch(shard, release, stateDir),
      runner: ({ shard, launch, heard }) =>
        new ShardRunner({
          shard: this.#shardConfig(shard),
          keeper: this.#keeper,
          launch,
          gateway: (port, token) =>
            connectGateway({
              port,
              token,
              onProblem: (message) => this.#log.warn({ shard }, message),
            }),
          probe: probeStartup,
          holdDeadline: () => this.#leases.deadline(shard),
          ...(this.#replicas ? { mayServe: (which: ShardId) => this.#mayServe(which) } : {}),
          bootSlots: this.#bootSlots,
          recycleTurn: (which, signal) => this.#recycle.take(which, signal),
          clock: bootClock,
          timers: systemTimers,
          random: Math.random,
          log: (level, msg, fields) => this.#log[level]({ shard, ...fields }, msg),
          onEvent: heard,
        }),
      heard: (shard, event) => this.#heard(shard, event),
      log: (level, msg, fields) => this.#log[level](fields ?? {}, msg),
    });
  }

  #makeSupervisor(): Supervisor {
    const { id, release } = this.#node;
    return new Supervisor({
      self: {
        node: id,
        incarnation: this.#incarnation,
        bootId: this.#boot,
        sameMachine: this.#place.sameMachine,
      },
      release: release.id,
      clock: bootClock,
      leases: this.#leases,
      alsoHeld: () => this.#recycle.held(),
      host: this.#host,
      deadNodes: (view) =>
        deadNodes(view, {
          node: id,
          incarnation: this.#incarnation,
          bootId: this.#boot,
          startedHere: this.#startedHere,
        }),
      log: (level, msg, fields) => this.#log[level](fields ?? {}, msg),
      remember: (event, shard, detail) => this.#history.add(event, shard, detail),
      tookOver: (shard, reason, since) => {
        this.#metrics.failovers.inc({ shard, reason });
        this.#takeovers.set(shard, since);
      },
      onChange: () => this.#changed(),
    });
  }

  #makeControl(): StoreControl {
    return new StoreControl({
      node: this.#node.id,
      store: this.#leases,
      view: () => this.#supervisor.state.view,
      config: () => this.#file.current,
      nodeState: (id) => nodeState(this.#supervisor.state, id),
      held: () => Object.keys(this.#supervisor.state.holds),
      state: stateControl(this.#host, this.#replicas?.state ?? null),
      nextNode: (shard) =>
        orderFor(this.#supervisor.state, shard).find((id) => id !== this.#node.id) ?? null,
      changed: async () => {
        await once(this.#changes, "change");
      },
    });
  }

  async #killPortHolder(): Promise<boolean> {
    return killPortHolder(this.#file.current.port, {
      node: this.#node.id,
      bootId: this.#boot,
      view: this.#supervisor.state.view,
      log: this.#log,
      remember: (event, shard, detail) => this.#history.add(event, shard, detail),
    });
  }

  #heard(shard: ShardId, event: RunnerEvent): void {
    if (event.type === "serving") {
      void this.#settings.settle(shard);
      const since = this.#takeovers.get(shard);
      if (since !== undefined)
        this.#metrics.failoverDuration.observe((bootClock.now() - since) / 1000);
      this.#takeovers.delete(shard);
    }
    if (event.type === "restarted")
      this.#metrics.gatewayRestarts.inc({ shard, reason: event.reason });
    if (event.type === "emptied" || event.type === "gave-up") this.#gateways.forget(shard);
    this.#supervisor.heard(shard, event);
  }

  async #mayServe(shard: ShardId): Promise<void> {
    await this.#replicas?.mayServe(shard);
  }

  #historyLost(shard: ShardId, epoch: number, lost: HistoryLost): void {
    // What is counted is a least: that something is missing counts, too.
    this.#metrics.historyLost.inc({ shard }, Math.max(1, lost.changes));
    this.#log.error({ shard, epoch, lost }, `history of ${shard} was lost`);
    const many = Math.max(1, lost.changes);
    this.#history.add("history lost", shard, `epoch ${epoch}: at least ${many} changes`);
  }

  async #ensureModel(): Promise<void> {
    if (this.#file.current.models === "demo") this.#model ??= await startDemoModel();
  }

  #shardConfig(shard: ShardId) {
    const config = this.#file.current.shards.find((each) => each.id === shard);
    if (!config) throw new Error(`${shard} is not a shard of this fleet`);
    return config;
  }

  #unmovedMs(lease: ShardId): number {
    const watch = this.#supervisor.state.leaseWatch[lease];
    return watch ? bootClock.now() - watch.since : Number.POSITIVE_INFINITY;
  }

  async #countSessions(): Promise<void> {
    try {
      this.#sessionCounts = (await this.#sessions.counts()).byShard;
    } catch {
      // The last count stays; the session store tells of its own faults.
    }
  }

  async #look(): Promise<void> {
    try {
      const view = await this.#leases.read();
      this.#view.viewed(view);
      this.#supervisor.feed({ type: "view", now: bootClock.now(), view });
    } catch {
      // The thread reports it.
    }
  }

  /** Many changes of one turn of the loop make one report. */
  #changed(): void {
    if (this.#reportDue) return;
    this.#reportDue = true;
    setImmediate(() => {
      this.#reportDue = false;
      this.#publish();
      this.#changes.emit("change");
    });
  }

  #publish(): void {
    this.#leases.setReport(
      nodeReport({
        node: this.#node,
        incarnation: this.#incarnation,
        bootId: this.#boot,
        address: this.#router?.peerAddress ?? "",
        shards: this.#host.reports().map((report) => [report.shard, this.#shardReport(report)]),
      }),
    );
    this.#view.refresh();
  }
}
