import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { AgentConfig, FleetConfig } from "../../../gateway/config.ts";
import type { FleetStatus, NodeId, ShardId } from "../../../gateway/contract.ts";
import {
  type GatewayPort,
  TurnError,
  type TurnRequest,
  type TurnResult,
  type UsageEvent,
} from "../../../gateway/openclaw/port.ts";
import type { FleetControl, FleetView, Route } from "../../../gateway/router/view.ts";
import type { Claim, SessionStore, StoredAnswer } from "../../../gateway/sessions/store.ts";

export const CLIENT_TOKEN = "client-token-client-token-0001";
export const ADMIN_TOKEN = "admin-token-admin-token-000001";
export const PEER_TOKEN = "peer-token-peer-token-00000001";

export function fleetConfig(over: Partial<FleetConfig> = {}): FleetConfig {
  const shards = ["s1", "s2"];
  const agent = (name: string, own: string[], channels = {}): AgentConfig => ({
    name,
    shards: own,
    homeShard: own[0] as string,
    channels,
    cron: [],
    env: {},
  });
  return {
    version: 1,
    fleet: "testfleet",
    target: "local",
    preset: "small",
    host: "127.0.0.1",
    port: 0,
    shards: shards.map((id) => ({ id, agents: ["main"], recycleMiB: 2048 })),
    agents: [
      agent("main", shards),
      agent("helper", ["s1"], { telegram: { enabled: true } }),
      agent("writer", ["s2"], { slack: {} }),
    ],
    models: "demo",
    openclaw: {},
    channelBinding: {},
    tokens: { client: [CLIENT_TOKEN], admin: ADMIN_TOKEN, peer: PEER_TOKEN },
    trustedProxies: [],
    scrapers: [],
    turnBudgetMs: 20_000,
    ...over,
  };
}

/** What a shard's disk would hold: it outlives its gateways. */
export class ShardDisk {
  /** Turns whose question was written. */
  readonly asked = new Map<string, { answer: string | null; session: string; runs: number }>();
  sessions: { agent: string; session: string }[] = [];
  /** Requests that reached a gateway over HTTP, by their x-request-id. */
  readonly httpReached = new Map<string, number>();
}

export interface GatewayBehaviour {
  /** Answers an HTTP request; default echoes what arrived. */
  http?: (req: IncomingMessage, res: ServerResponse, body: string) => void;
  /** Milliseconds a turn takes. */
  turnMs?: number;
  /** Gives the turn's answer; throws TurnError. */
  turn?: (request: TurnRequest) => Promise<TurnResult>;
}

/** A gateway with the surface that the router touches: HTTP, WebSocket and GatewayPort. */
export class FakeGateway {
  readonly token = `gateway-secret-${Math.random()}`;
  readonly behaviour: GatewayBehaviour;
  readonly disk: ShardDisk;
  readonly server: Server;
  readonly turnsSent: { runId: string; mayHaveRun: boolean }[] = [];
  /** Sessions that go on under another key. */
  readonly successors = new Map<string, string>();
  readonly requests: { url: string; headers: IncomingMessage["headers"]; body: string }[] = [];
  readonly connects: unknown[] = [];
  readonly #usage = new Set<(usage: UsageEvent) => void>();
  readonly #ws = new WebSocketServer({ noServer: true });
  /** Runs when the process is killed. */
  readonly #deaths = new Set<() => void>();
  dead = false;
  port = 0;

  constructor(disk: ShardDisk, behaviour: GatewayBehaviour = {}) {
    this.disk = disk;
    this.behaviour = behaviour;
    this.server = createServer((req, res) => this.#request(req, res));
    this.server.on("upgrade", (req, socket, head) => {
      this.#ws.handleUpgrade(req, socket, head, (ws) => {
        ws.send(
          JSON.stringify({
            type: "event",
            event: "connect.challenge",
            payload: { nonce: "n", ts: 1 },
          }),
        );
        ws.on("error", () => ws.terminate());
        ws.on("message", (data) => {
          const frame = JSON.parse(String(data)) as { id: string; method: string; params: unknown };
          if (frame.method === "connect") {
            this.connects.push({ frame, headers: req.headers });
            const { auth } = frame.params as { auth: { token: string } };
            ws.send(
              JSON.stringify({
                type: "res",
                id: frame.id,
                ok: auth.token === this.token,
                payload: { type: "hello-ok", protocol: 4, from: this.token },
              }),
            );
            return;
          }
          ws.send(JSON.stringify({ type: "res", id: frame.id, ok: true, payload: frame.params }));
        });
      });
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", () => resolve()));
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  /** kill -9: connections break, running turns are lost. */
  async kill(): Promise<void> {
    if (this.dead) return;
    this.dead = true;
    for (const death of [...this.#deaths]) death();
    for (const ws of this.#ws.clients) ws.terminate();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  use(usage: UsageEvent): void {
    for (const listener of this.#usage) listener(usage);
  }

  get portApi(): GatewayPort {
    return {
      connected: true,
      ready: async () => undefined,
      runTurn: (request) => this.#turn(request),
      presentSession: async (key) => this.successors.get(key) ?? key,
      turns: async () => ({ active: 0, queued: 0 }),
      lastInbound: async () => null,
      suspend: async () => undefined,
      suspended: async () => true,
      resume: async () => undefined,
      sessions: async () => this.disk.sessions,
      syncCron: async () => undefined,
      ensureChannels: async () => [],
      reopenBots: async () => ({ opened: [], refused: [] }),
      channels: async () => ({ bots: 0, down: [] }),
      onUsage: (listener) => {
        this.#usage.add(listener);
        return () => this.#usage.delete(listener);
      },
      close: () => undefined,
    };
  }

  async #turn(request: TurnRequest): Promise<TurnResult> {
    if (this.dead) throw new TurnError("lost", "no connection", false);
    this.turnsSent.push({ runId: request.runId, mayHaveRun: request.mayHaveRun });
    if (this.behaviour.turn) return this.behaviour.turn(request);
    const known = this.disk.asked.get(request.runId);
    const usage = { input: 1, output: 2, total: 3 };
    if (known && !request.mayHaveRun) {
      throw new TurnError("failed", `run ${request.runId} was sent fresh twice`, true);
    }
    request.onReached?.();
    if (known && known.answer !== null) return { reply: known.answer, usage, recovered: true };
    const record = known ?? { answer: null, session: request.session, runs: 0 };
    record.runs += 1;
    this.disk.asked.set(request.runId, record);
    const answer = `echo ${request.message}`;
    if (!known) request.onDelta?.("echo ");
    await this.#work(request.signal);
    record.answer = answer;
    if (!known) request.onDelta?.(request.message);
    return { reply: answer, usage, recovered: known !== undefined };
  }

  /** Time passes, unless the process dies or the turn is cancelled. */
  #work(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error: Error | null) => {
        clearTimeout(timer);
        this.#deaths.delete(death);
        signal?.removeEventListener("abort", abort);
        if (error) reject(error);
        else resolve();
      };
      const death = () => finish(new TurnError("lost", "the gateway died", true));
      const abort = () => finish(new TurnError("aborted", "cancelled", true));
      const timer = setTimeout(() => finish(null), this.behaviour.turnMs ?? 1);
      this.#deaths.add(death);
      signal?.addEventListener("abort", abort);
    });
  }

  #request(req: IncomingMessage, res: ServerResponse): void {
    const id = String(req.headers["x-request-id"]);
    this.disk.httpReached.set(id, (this.disk.httpReached.get(id) ?? 0) + 1);
    const chunks: Buffer[] = [];
    req.on("data", (chunk) => chunks.push(chunk));
    req.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      this.requests.push({ url: req.url as string, headers: req.headers, body });
      if (this.behaviour.http) {
        this.behaviour.http(req, res, body);
        return;
      }
      res.setHeader("content-type", "application/json");
      res.end(JSON.stringify({ url: req.url, headers: req.headers, body }));
    });
  }
}

/** Who owns what, as every node sees it at once. */
export class FakeFleet {
  config: FleetConfig;
  readonly routes = new Map<
    ShardId,
    | { state: "owned"; node: NodeId; epoch: number; gateway: FakeGateway; live: boolean }
    | { state: "none"; epoch: number }
    | { state: "failed"; epoch: number; reason: string }
  >();
  readonly disks = new Map<ShardId, ShardDisk>();
  readonly addresses = new Map<NodeId, string>();
  readonly views: FakeView[] = [];
  storeOk = true;

  constructor(config = fleetConfig()) {
    this.config = config;
    for (const { id } of config.shards) {
      this.routes.set(id, { state: "none", epoch: 0 });
      this.disks.set(id, new ShardDisk());
    }
  }

  view(node: NodeId): FakeView {
    const view = new FakeView(this, node);
    this.views.push(view);
    return view;
  }

  disk(shard: ShardId): ShardDisk {
    return this.disks.get(shard) as ShardDisk;
  }

  /** A new owner with a new epoch and a new gateway on the same disk. */
  async own(shard: ShardId, node: NodeId, behaviour: GatewayBehaviour = {}): Promise<FakeGateway> {
    const gateway = await new FakeGateway(this.disk(shard), behaviour).listen();
    const epoch = (this.routes.get(shard)?.epoch ?? 0) + 1;
    this.routes.set(shard, { state: "owned", node, epoch, gateway, live: true });
    this.changed(shard);
    return gateway;
  }

  /** The owner's gateway dies and the fleet knows. */
  async lose(shard: ShardId): Promise<void> {
    const route = this.routes.get(shard);
    if (route?.state !== "owned") return;
    this.routes.set(shard, { state: "none", epoch: route.epoch });
    await route.gateway.kill();
    this.changed(shard);
  }

  set(shard: ShardId, route: { state: "none" } | { state: "failed"; reason: string }): void {
    const epoch = this.routes.get(shard)?.epoch ?? 0;
    this.routes.set(shard, { ...route, epoch });
    this.changed(shard);
  }

  changed(shard: ShardId): void {
    for (const view of this.views) view.emit(shard);
  }

  async close(): Promise<void> {
    for (const route of this.routes.values()) {
      if (route.state === "owned") await route.gateway.kill();
    }
  }
}

export class FakeView implements FleetView {
  readonly incarnation: string;
  readonly startedAt = Date.now();
  readonly node: NodeId;
  readonly doubts: ShardId[] = [];
  isStopping = false;
  /** Overrides what this node believes, to be wrong. */
  readonly beliefs = new Map<ShardId, Route>();
  readonly #fleet: FakeFleet;
  readonly #listeners = new Set<(shard: ShardId) => void>();

  constructor(fleet: FakeFleet, node: NodeId) {
    this.#fleet = fleet;
    this.node = node;
    this.incarnation = `inc-${node}`;
  }

  config(): FleetConfig {
    return this.#fleet.config;
  }
  agent(name: string): AgentConfig | undefined {
    return this.#fleet.config.agents.find((agent) => agent.name === name);
  }
  route(shard: ShardId): Route {
    const belief = this.beliefs.get(shard);
    if (belief) return belief;
    const route = this.#fleet.routes.get(shard);
    if (!route || route.state === "none") {
      return { at: "none", epoch: route?.epoch ?? 0, state: "acquiring" };
    }
    if (route.state === "failed") return { at: "failed", epoch: route.epoch, reason: route.reason };
    const { node, epoch, gateway } = route;
    const incarnation = `inc-${node}`;
    if (node === this.node) {
      const { token, port, portApi } = gateway;
      const live = () => route.live;
      return {
        at: "here",
        epoch,
        incarnation,
        host: "127.0.0.1",
        port,
        token,
        gateway: portApi,
        live,
      };
    }
    return { at: "peer", node, address: this.#fleet.addresses.get(node) ?? "", epoch, incarnation };
  }
  leased(shard: ShardId): boolean | null {
    return this.#fleet.storeOk ? this.#fleet.routes.get(shard)?.state === "owned" : null;
  }
  onRoute(listener: (shard: ShardId) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  emit(shard: ShardId): void {
    for (const listener of [...this.#listeners]) listener(shard);
  }
  doubt(shard: ShardId): void {
    this.doubts.push(shard);
  }
  peers(): { node: NodeId; address: string }[] {
    return [...this.#fleet.addresses]
      .filter(([node]) => node !== this.node)
      .map(([node, address]) => ({ node, address }));
  }
  status(): FleetStatus {
    const { config, routes } = this.#fleet;
    return {
      fleet: config.fleet,
      nodes: [],
      shards: config.shards.map(({ id, agents }) => {
        const route = routes.get(id);
        return {
          id,
          agents,
          owner: route?.state === "owned" ? route.node : null,
          epoch: route?.epoch ?? 0,
          state: route?.state === "owned" ? "serving" : "idle",
          pid: null,
          startedAt: null,
          restarts: 0,
          sessions: 0,
          memoryBytes: 1,
          reason: null,
        };
      }),
      store: { kind: "fake", ok: this.#fleet.storeOk },
      heldRequests: 0,
    };
  }
  storeOk(): boolean {
    return this.#fleet.storeOk;
  }
  stopping(): boolean {
    return this.isStopping;
  }
}

/** The session store's contract in memory. */
export class MemorySessions implements SessionStore {
  readonly kind = "memory";
  map = new Map<string, ShardId>();
  gen = "g1";
  down = false;
  readonly claims = new Map<
    string,
    { bodyHash: string; runId: string; until: number; answer: StoredAnswer | null }
  >();

  #up(): void {
    if (this.down) throw new Error("the store is away");
  }
  async assign(agent: string, session: string, shard: ShardId): Promise<ShardId> {
    this.#up();
    const key = `${agent} ${session}`;
    const known = this.map.get(key);
    if (known) return known;
    this.map.set(key, shard);
    return shard;
  }
  async lookup(agent: string, session: string): Promise<ShardId | null> {
    this.#up();
    return this.map.get(`${agent} ${session}`) ?? null;
  }
  async rebuild(entries: { agent: string; session: string; shard: ShardId }[]): Promise<number> {
    this.#up();
    let added = 0;
    for (const { agent, session, shard } of entries) {
      if (this.map.has(`${agent} ${session}`)) continue;
      this.map.set(`${agent} ${session}`, shard);
      added += 1;
    }
    return added;
  }
  async dropShard(shard: ShardId): Promise<number> {
    this.#up();
    const gone = [...this.map].filter(([, each]) => each === shard);
    for (const [key] of gone) this.map.delete(key);
    return gone.length;
  }
  async counts(): Promise<{ byShard: Record<ShardId, number>; byAgent: Record<string, number> }> {
    this.#up();
    const byShard: Record<ShardId, number> = {};
    for (const shard of this.map.values()) byShard[shard] = (byShard[shard] ?? 0) + 1;
    return { byShard, byAgent: {} };
  }
  async generation(): Promise<string> {
    this.#up();
    return this.gen;
  }
  /** Everything is lost. */
  lose(): void {
    this.map = new Map();
    this.gen = `g${Math.random()}`;
  }
  async claim(key: string, bodyHash: string, runId: string, ttlMs: number): Promise<Claim> {
    this.#up();
    const known = this.claims.get(key);
    if (known && known.bodyHash !== bodyHash) return { outcome: "mismatch" };
    if (known?.answer) return { outcome: "done", runId: known.runId, answer: known.answer };
    if (known && known.until > Date.now()) return { outcome: "running", runId: known.runId };
    this.claims.set(key, { bodyHash, runId, until: Date.now() + ttlMs, answer: null });
    return { outcome: "claimed", runId };
  }
  async refresh(key: string, runId: string, ttlMs: number): Promise<boolean> {
    const known = this.claims.get(key);
    if (known?.runId !== runId || known.answer) return false;
    known.until = Date.now() + ttlMs;
    return true;
  }
  async finish(key: string, runId: string, answer: StoredAnswer): Promise<boolean> {
    const known = this.claims.get(key);
    if (known?.runId !== runId) return false;
    known.answer = answer;
    return true;
  }
  async abandon(key: string, runId: string): Promise<void> {
    if (this.claims.get(key)?.runId === runId) this.claims.delete(key);
  }
  async ok(): Promise<boolean> {
    return !this.down;
  }
  async close(): Promise<void> {}
}

export class FakeControl implements FleetControl {
  readonly calls: unknown[] = [];
  fail: Error | null = null;
  #call(...call: unknown[]): void {
    if (this.fail) throw this.fail;
    this.calls.push(call);
  }
  async drain(node: NodeId): Promise<void> {
    this.#call("drain", node);
  }
  async resume(node: NodeId): Promise<void> {
    this.#call("resume", node);
  }
  async move(shard: ShardId, to: NodeId | "auto"): Promise<void> {
    this.#call("move", shard, to);
  }
  async drainHere(agent?: string): Promise<{ shards: ShardId[] }> {
    this.#call("drainHere", agent);
    return { shards: ["s1"] };
  }
  async history(limit: number) {
    this.#call("history", limit);
    return [{ at: "2026-01-01T00:00:00Z", shard: "s1", node: null, event: "acquired", detail: "" }];
  }
}
