import type { Server } from "node:http";
import { type AddressInfo, Server as TcpServer } from "node:net";
import { Readiness } from "../api/health.ts";
import type { Clock } from "../clock.ts";
import type { FleetConfig } from "../config.ts";
import { AddressSet, Tokens } from "./auth.ts";
import { findAgent, type RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { Gate } from "./gate.ts";
import { guardedServer } from "./guard.ts";
import { handlePublic } from "./handler.ts";
import { FLEET, peerHeaders } from "./headers.ts";
import { handlePeer } from "./peer-server.ts";
import { type PortTimings, type Probe, PublicPort } from "./port.ts";
import { findHeir } from "./port-heir.ts";
import { SessionMap } from "./session-map.ts";
import type { TurnDeps } from "./turn.ts";
import { TurnRunner } from "./turn-runner.ts";
import { Upstreams } from "./upstream.ts";
import { UsageCounter } from "./usage.ts";
import { upgradePeer } from "./ws-peer.ts";
import { upgradePublic } from "./ws-upgrade.ts";

export type { Log, RouterDeps } from "./deps.ts";

export interface RouterHandle {
  /** `host:port` of the listener for peers. Publish it in the node's record. */
  readonly peerAddress: string;
  /** Port of the public listener; null while another router holds it. */
  readonly port: number | null;
  /** Resolves once this router holds the public port. */
  readonly holdsPort: Promise<void>;
  /** Who holds the public port while this router does not; null when it does, or before a look. */
  portHolder(): Probe | null;
  /** Moves the public listener to another address or port; connections that are open live on. */
  listenAt(host: string, port: number): Promise<void>;
  /** Requests waiting for an owner in this router, of one shard or all. */
  held(shard?: string): number;
  /**
   * Unready at once; serves on for two health intervals of its front, closes its listener, lets
   * running requests end within the budget, ends streams and WebSockets (1012), frees everything.
   * @param longestMs for requests that run or wait at a peer, once a peer took the port; never less
   * than `closeBudgetMs`, which is the default
   */
  close(longestMs?: number): Promise<void>;
}

/**
 * For waits that have nothing to do with ownership. The clock of ownership reads a file of the kernel
 * on Linux: a tenth of a request's CPU when asked four times (decision 060).
 */
const quickClock: Clock = { now: () => performance.now() };

const LIST_TIMEOUT_MS = 10_000;
/** How often connections that became idle while closing are ended, ms. */
const IDLE_SWEEP_MS = 50;
/** After a hand-over: time for idle keep-alive clients to hear that they shall connect anew, ms. */
const KEEP_ALIVE_GRACE_MS = 3_000;
/** Time for the answers to requests that were held when the budget ended, ms. */
const LAST_WORD_MS = 250;
const DEFAULT_CLOSE_BUDGET_MS = 30_000;

/**
 * Starts the router of a node: the public port (waited for while another holds it) and the listener
 * for peers (bound when this resolves).
 */
export async function startRouter(
  deps: RouterDeps,
  timings: Partial<PortTimings> = {},
): Promise<RouterHandle> {
  const { view, log } = deps;
  let closing = false;
  const stopping = () => closing || view.stopping();
  const parts = assemble(deps, stopping, (order) => publicPort.take(order));
  const readiness = new Readiness(deps, parts);
  const usage = new UsageCounter(view, deps.metrics);

  const publicServer = guardedServer(
    {
      request: (req, res) => handlePublic(deps, parts, readiness, req, res),
      upgrade: (req, socket, head) => upgradePublic(deps, parts, req, socket, head),
    },
    { node: view.node, log, behindFront: (deps.frontIntervalMs ?? 0) > 0 },
  );
  const peerServer = guardedServer(
    {
      request: (req, res) => handlePeer(deps, parts, req, res),
      upgrade: (req, socket, head) => upgradePeer(deps, parts, req, socket, head),
    },
    { node: view.node, log },
  );
  await listen(peerServer, deps.peer.host, deps.peer.port);
  const publicPort = new PublicPort({
    server: publicServer,
    node: view.node,
    ...deps.listen,
    stopping,
    fleet: () => view.config().fleet,
    log,
    killHolder: deps.killHolder,
    timings,
  });
  await publicPort.start();

  const close = async (longestMs = 0) => {
    if (closing) return;
    closing = true;
    const wait = 2 * (deps.frontIntervalMs ?? 0);
    if (wait > 0 && publicPort.held) await new Promise((resolve) => setTimeout(resolve, wait));
    await publicPort.stop();
    const heir = publicPort.shared ? await findHeir(deps, parts, publicPort.at) : null;
    if (heir !== null) {
      await publicPort.letGo();
      log.info({ heir }, "the public port was handed over");
    }
    // A turn of minutes may run at a peer for a client of this router: it is not cut short. Without an
    // heir there is no peer, and nobody that what still waits could wait for.
    const least = deps.closeBudgetMs ?? DEFAULT_CLOSE_BUDGET_MS;
    const budget = heir === null ? least : Math.max(least, longestMs);
    await Promise.all([
      // Without an heir nobody would answer a client that comes again: no need for patience.
      shut(publicServer, budget, heir === null ? 0 : KEEP_ALIVE_GRACE_MS, parts),
      // Peers may still send what this node owns; their listener ends with the public one.
      shut(peerServer, budget, 0, parts),
    ]);
    parts.gate.close();
    usage.close();
    await parts.upstreams.close();
  };

  return {
    get peerAddress() {
      const address = peerServer.address() as AddressInfo | null;
      const port = address?.port ?? deps.peer.port;
      return deps.peer.host.includes(":")
        ? `[${deps.peer.host}]:${port}`
        : `${deps.peer.host}:${port}`;
    },
    get port() {
      return publicPort.held
        ? ((publicServer.address() as AddressInfo | null)?.port ?? null)
        : null;
    },
    holdsPort: publicPort.taken,
    portHolder: () => publicPort.holder,
    listenAt: (host, port) => publicPort.moveTo(host, port),
    held: (shard) => parts.gate.held(shard),
    close,
  };
}

function assemble(
  deps: RouterDeps,
  stopping: () => boolean,
  takePort: RouterParts["takePort"],
): RouterParts {
  const { view, clock, log, sessions } = deps;
  const gate = new Gate(view, quickClock);
  const upstreams = new Upstreams();
  const runner = new TurnRunner();
  const tokens = new Tokens(() => view.config());
  const peerToken = () => tokens.peerToken;
  const turns: TurnDeps = { view, gate, upstreams, runner, clock, log, peerToken };
  const listSessions = async (shard: string) => {
    const route = view.route(shard);
    if (route.at === "here") return route.gateway.sessions();
    if (route.at !== "peer") throw new Error(`shard ${shard} has no owner`);
    const { epoch, incarnation, address } = route;
    const mark = { shard, epoch, incarnation, token: peerToken(), hop: 1, relay: null };
    const answer = await upstreams.ask(
      {
        origin: `http://${address}`,
        method: "GET",
        path: "/internal/sessions",
        headers: peerHeaders(mark),
        body: null,
      },
      LIST_TIMEOUT_MS,
    );
    if (answer.status !== 200) throw new Error(`${FLEET.shard} ${shard}: HTTP ${answer.status}`);
    return (JSON.parse(answer.body) as { sessions: { agent: string; session: string }[] }).sessions;
  };
  return {
    gate,
    upstreams,
    runner,
    tokens,
    turns,
    sessionMap: new SessionMap({ view, sessions, clock: quickClock, log, listSessions }),
    addresses: addressesOf(() => view.config()),
    agent: (name) => findAgent(view, name),
    stopping,
    sockets: new Set(),
    takePort,
  };
}

/** Address sets of the settings in force, made anew only when the settings change. */
function addressesOf(read: () => FleetConfig): RouterParts["addresses"] {
  let config: FleetConfig | null = null;
  let sets = { trusted: new AddressSet([]), scrapers: new AddressSet([]) };
  return () => {
    const current = read();
    if (current !== config) {
      config = current;
      sets = {
        trusted: new AddressSet(current.trustedProxies),
        scrapers: new AddressSet(current.scrapers),
      };
    }
    return sets;
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/**
 * No new connections; what runs may end within the budget; then everything is cut. Connections without
 * a request get `graceMs` to bring one more: its answer tells the client to connect anew.
 */
async function shut(
  server: Server,
  budgetMs: number,
  graceMs: number,
  parts: RouterParts,
): Promise<void> {
  const closed = new Promise<void>((resolve) =>
    TcpServer.prototype.close.call(server, () => resolve()),
  );
  for (const socket of [...parts.sockets]) socket.closeForRestart();
  const begin = performance.now();
  const sweep = () => {
    if (performance.now() - begin >= graceMs) server.closeIdleConnections();
  };
  sweep();
  const idle = setInterval(sweep, IDLE_SWEEP_MS);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      // Whoever still waits for an owner is told so; then the rest is cut.
      parts.gate.close();
      timer = setTimeout(resolve, LAST_WORD_MS);
    }, budgetMs);
  });
  await Promise.race([closed, late]);
  clearTimeout(timer);
  clearInterval(idle);
  for (const socket of [...parts.sockets]) socket.terminate();
  server.closeAllConnections();
  await closed;
  // Ends the timers of node:http, too.
  server.close();
}
