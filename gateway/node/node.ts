import { EventEmitter, once } from "node:events";
import { bootClock } from "../clock.ts";
import type { NodeConfig } from "../config.ts";
import { DRAIN, FRONT, type ShardId } from "../contract.ts";
import { KeeperClient } from "../keeper/client.ts";
import { type DemoModel, startDemoModel } from "../model/server.ts";
import { nodeState, standing } from "../ownership/report.ts";
import { orderFor } from "../ownership/take.ts";
import { type RouterHandle, startRouter } from "../router/router.ts";
import { systemTimers } from "../shard/timers.ts";
import { StoreControl } from "../supervisor/control.ts";
import { LiveFleetView } from "../supervisor/fleet-view.ts";
import { NodeBase } from "./base.ts";
import { ChannelWatch } from "./channel-watch.ts";
import { waitForCompany } from "./company.ts";
import { Condition } from "./condition.ts";
import { DiskWatch } from "./disk-watch.ts";
import { DnsDirectory } from "./dns-directory.ts";
import { FormerNodes } from "./former-nodes.ts";
import { followLeases } from "./lease-events.ts";
import { killPortHolder } from "./port-holder.ts";
import { nodeReport } from "./reporting.ts";
import { SettingsFollower } from "./settings-follower.ts";
import { NodeShards } from "./shards.ts";
import { stateControl } from "./state-control.ts";

/** Sessions are counted in the store, for people who look, and removed nodes are looked for. */
const COUNT_EVERY_MS = 2_000;

/** One node: everything that is wired together here is made elsewhere and knows nothing of the rest. */
export class Node {
  readonly #base: NodeBase;
  readonly #keeper: KeeperClient;
  readonly #shards: NodeShards;
  readonly #view: LiveFleetView;
  readonly #settings: SettingsFollower;
  readonly #disk: DiskWatch;
  readonly #channels: ChannelWatch;
  readonly #condition: Condition;
  readonly #former: FormerNodes;
  readonly #directory: DnsDirectory | null;
  readonly #changes = new EventEmitter();
  #model: DemoModel | null = null;
  #router: RouterHandle | null = null;
  #reportDue = false;
  #stopped: Promise<void> | null = null;
  #sessionCounts: Record<ShardId, number> = {};
  #timer: NodeJS.Timeout | undefined;

  constructor(node: NodeConfig) {
    const base = new NodeBase(node, () => void this.#settings.follow());
    this.#base = base;
    this.#disk = new DiskWatch({
      dir: node.dataDir,
      log: (level, message) => base.log[level](message),
      onRoomAgain: () => this.#restartGateways("its disk was full", DRAIN.fullDiskMs),
    });
    this.#keeper = new KeeperClient({ onStop: () => void this.stopAndExit() });
    this.#channels = new ChannelWatch({
      gateway: (shard) => this.#shards.host.report(shard)?.endpoint?.gateway ?? null,
      wanted: (shard) =>
        base.fleet.agents.some(
          (agent) => agent.homeShard === shard && Object.keys(agent.channels).length > 0,
        ),
      timers: systemTimers,
      log: base.logWith,
      onChange: () => this.#changed(),
    });
    this.#shards = new NodeShards({
      base,
      keeper: this.#keeper,
      modelUrl: () => this.#model?.url ?? "",
      serving: (shard) => void this.#settings.settle(shard),
      channels: (shard) => this.#channels.report(shard),
      onChange: () => this.#changed(),
    });
    this.#former = new FormerNodes({
      members: () => base.fleet.members,
      shards: () => base.fleet.shards.map(({ id }) => id),
      view: () => this.#shards.state.view,
      isLost: (id) => nodeState(this.#shards.state, id) === "lost",
      forget: (id) => base.leases.forgetNode(id),
      log: (message) => base.log.info(message),
    });
    this.#directory = this.#makeDirectory();
    this.#view = this.#makeView();
    this.#condition = new Condition({
      keeper: this.#keeper,
      view: this.#view,
      leasesSilentMs: () => base.leases.silentMs,
    });
    const { host, supervisor, gateways } = this.#shards;
    this.#settings = new SettingsFollower({
      config: () => base.fleet,
      revision: () => base.file.revision,
      prepare: async (config) => {
        await this.#ensureModel();
        await this.#router?.listenAt(config.host, config.port);
      },
      host,
      view: this.#view,
      supervisor,
      gateways,
      channels: this.#channels,
      log: base.log,
      remember: (event, shard, detail) => base.history.add(event, shard, detail),
      onChange: () => this.#changed(),
    });
  }

  #restartGateways(why: string, giveUpMs: number): void {
    const { host } = this.#shards;
    for (const { shard, state } of host.reports()) {
      if (state === "serving") host.runner(shard).restart(why, giveUpMs);
    }
  }

  #makeDirectory(): DnsDirectory | null {
    const { discovery, peerPort } = this.#base.node;
    if (!discovery || peerPort === undefined) return null;
    return new DnsDirectory({
      name: discovery.name,
      port: peerPort,
      nodes: () => Object.keys(this.#shards.state.view?.nodes ?? {}),
      log: { warn: (message) => this.#base.log.warn(message) },
    });
  }

  #makeView(): LiveFleetView {
    const { node, incarnation, place, leases } = this.#base;
    const shards = this.#shards;
    return new LiveFleetView({
      node: node.id,
      incarnation,
      storeKind: place.leases.kind,
      voters: () => (place.leases.kind === "etcd" ? this.#base.stores?.current.etcd : undefined),
      clock: bootClock,
      config: () => this.#base.fleet,
      here: (shard) => {
        const report = shards.host.report(shard);
        return (
          report && {
            epoch: report.epoch,
            report: shards.report(report),
            endpoint: report.admissionOpen ? report.endpoint : null,
          }
        );
      },
      deadline: (shard) => leases.deadline(shard),
      standing: (shard) => standing(shards.state, shard),
      nodeState: (id) => nodeState(shards.state, id),
      lookAgain: () => void this.#look(),
      revision: () => shards.state.config.revision,
      ...(this.#directory
        ? { addressOf: (id, published) => this.#directory?.addressOf(id, published) ?? published }
        : {}),
    });
  }

  async start(): Promise<void> {
    const { node, place, log, leases, tls, incarnation } = this.#base;
    const { supervisor, replicas } = this.#shards;
    const { sameMachine } = place;
    await this.#ensureModel();
    const deciding = followLeases(leases, { view: this.#view, supervisor, log });
    if (sameMachine) deciding.begin(null);
    leases.on("renewed", ({ held }) => replicas?.renewed(held));
    const router = await this.#startRouter();
    this.#router = router;
    tls?.watch();
    this.#directory?.start();
    this.#view.attachCounts({
      held: () => router.held(),
      sessions: () => this.#sessionCounts,
    });
    leases.start();
    this.#publish();
    this.#condition.start();
    const seen = await waitForCompany({
      read: () => leases.read(),
      clock: bootClock,
      expected: sameMachine ? null : (this.#base.fleet.members?.length ?? 1),
      stopping: () => this.#stopped !== null,
    });
    if (this.#stopped !== null) return;
    await this.#settings.follow();
    deciding.begin(seen);
    supervisor.start();
    replicas?.start();
    this.#shards.updates.start();
    this.#base.file.watch();
    this.#base.stores?.watch();
    this.#disk.start();
    this.#timer = setInterval(() => {
      void this.#countSessions();
      void this.#former.look();
    }, COUNT_EVERY_MS);
    log.info({ incarnation, release: node.release.id }, `node ${node.id} is up`);
  }

  #startRouter(): Promise<RouterHandle> {
    const { node, fleet, place, sessions, log, metrics, tls } = this.#base;
    const { peerHost, peerPort, address, front, balanced } = node;
    return startRouter({
      view: this.#view,
      control: this.#makeControl(),
      sessions,
      clock: bootClock,
      log,
      metrics,
      followed: () => this.#settings.followed,
      listen: { host: fleet.host, port: fleet.port },
      peer: { host: peerHost, port: peerPort ?? 0, address },
      tls,
      front,
      balanced,
      ...(front ? { frontIntervalMs: FRONT.probe.intervalMs } : {}),
      alone: !place.sameMachine,
      ...(place.sameMachine ? { killHolder: () => this.#killPortHolder() } : {}),
    });
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
    const { log, tls, history, file, stores, leases, sessions } = this.#base;
    const { supervisor, replicas } = this.#shards;
    const begun = bootClock.now();
    log.info("stopping: draining all shards");
    this.#shards.updates.close();
    this.#view.stop();
    this.#condition.tell();
    supervisor.stop();
    await supervisor.stopped;
    // Turns of other nodes' shards, for clients of this router, have what is left of the same budget.
    await this.#router?.close(DRAIN.termTurnsMs - (bootClock.now() - begun));
    await history.flush();
    clearInterval(this.#timer);
    this.#condition.close();
    tls?.close();
    this.#directory?.close();
    this.#channels.close();
    supervisor.close();
    await replicas?.stop();
    file.close();
    stores?.close();
    this.#disk.close();
    await leases.stop();
    await sessions.close();
    await this.#model?.close();
    log.info("stopped");
    await this.#keeper.quit();
  }

  /** A fault of one request or event must not end the node; its gateways and leases are well. */
  fault(kind: string, error: unknown): void {
    const why = (error as Error)?.message ?? String(error);
    this.#base.log.error({ err: error }, `${kind}: ${why}`);
  }

  #makeControl(): StoreControl {
    const { node, leases } = this.#base;
    const { host, replicas } = this.#shards;
    const state = () => this.#shards.state;
    return new StoreControl({
      node: node.id,
      store: leases,
      view: () => state().view,
      config: () => this.#base.fleet,
      nodeState: (id) => nodeState(state(), id),
      held: () => Object.keys(state().holds),
      state: stateControl(host, replicas?.state ?? null),
      nextNode: (shard) => orderFor(state(), shard).find((id) => id !== node.id) ?? null,
      changed: async () => {
        await once(this.#changes, "change");
      },
    });
  }

  async #killPortHolder(): Promise<boolean> {
    const { node, fleet, boot, log, history } = this.#base;
    return killPortHolder(fleet.port, {
      node: node.id,
      bootId: boot,
      view: this.#shards.state.view,
      log,
      remember: (event, shard, detail) => history.add(event, shard, detail),
    });
  }

  async #ensureModel(): Promise<void> {
    if (this.#base.fleet.models === "demo") this.#model ??= await startDemoModel();
  }

  async #countSessions(): Promise<void> {
    try {
      this.#sessionCounts = (await this.#base.sessions.counts()).byShard;
    } catch {
      // The last count stays; the session store tells of its own faults.
    }
  }

  async #look(): Promise<void> {
    try {
      const view = await this.#base.leases.read();
      this.#view.viewed(view);
      this.#shards.supervisor.feed({ type: "view", now: bootClock.now(), view });
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
    const { node, incarnation, boot, leases } = this.#base;
    const { host } = this.#shards;
    leases.setReport(
      nodeReport({
        node,
        incarnation,
        bootId: boot,
        address: this.#router?.peerAddress ?? "",
        shards: host.reports().map((report) => [report.shard, this.#shards.report(report)]),
      }),
    );
    this.#view.refresh();
  }
}
