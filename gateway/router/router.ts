import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { endpoint } from "../address.ts";
import { Readiness } from "../api/health.ts";
import type { RouterDeps } from "./deps.ts";
import { guardedServer } from "./guard.ts";
import { handlePublic } from "./handler.ts";
import { assemble } from "./parts.ts";
import { handlePeer } from "./peer-server.ts";
import { ALIVE_MS } from "./peer-silence.ts";
import { type PortTimings, type Probe, PublicPort } from "./port.ts";
import { findHeir } from "./port-heir.ts";
import { shut } from "./shut.ts";
import { UsageCounter } from "./usage.ts";
import { upgradePeer } from "./ws-peer.ts";
import { upgradePublic } from "./ws-upgrade.ts";

export type { Log, RouterDeps } from "./deps.ts";

export interface RouterHandle {
  /** `host:port` of the listener for peers. Publish it in the node's record. */
  readonly peerAddress: string;
  /** Port of the public listener; null while another router holds it. */
  readonly port: number | null;
  /** Port of the listener for fronts; null without one. */
  readonly frontPort: number | null;
  /** Resolves once this router holds the public port. */
  readonly holdsPort: Promise<void>;
  /** Who holds the public port while this router does not; null when it does, or before a look. */
  portHolder(): Probe | null;
  /** Moves the public listener to another address or port; connections that are open live on. */
  listenAt(host: string, port: number): Promise<void>;
  /** Requests waiting in this router, for an owner or for their place. */
  held(): number;
  /**
   * Unready at once; serves on for two health intervals of its front, closes its listener, lets
   * running requests end within the budget, ends streams and WebSockets (1012), frees everything.
   * @param longestMs for requests that run or wait at a peer, once a peer took the port; never less
   * than `closeBudgetMs`, which is the default
   */
  close(longestMs?: number): Promise<void>;
}

/** After a hand-over: time for idle keep-alive clients to hear that they shall connect anew, ms. */
const KEEP_ALIVE_GRACE_MS = 3_000;
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
  const usage = new UsageCounter(view, deps.metrics, parts.limiter);

  const open = (certified: boolean) => ({
    request: (req: IncomingMessage, res: ServerResponse) =>
      handlePublic(deps, parts, readiness, req, res, certified),
    upgrade: (req: IncomingMessage, socket: Socket, head: Buffer) =>
      upgradePublic(deps, parts, req, socket, head),
  });
  const publicServer = guardedServer(open(false), {
    node: view.node,
    log,
    behindFront: (deps.balanced || !deps.front) && (deps.frontIntervalMs ?? 0) > 0,
  });
  const tls = deps.tls ?? null;
  if (deps.front && !tls) throw new Error("the listener for fronts needs certificates");
  const frontServer =
    deps.front && guardedServer(open(true), { node: view.node, log, behindFront: true, tls });
  const peerServer = guardedServer(
    {
      request: (req, res) => handlePeer(deps, parts, req, res),
      upgrade: (req, socket, head) => upgradePeer(deps, parts, req, socket, head),
    },
    { node: view.node, log, tls, askAfterMs: ALIVE_MS },
  );
  await listen(peerServer, deps.peer.host, deps.peer.port);
  if (frontServer && deps.front) await listen(frontServer, deps.front.host, deps.front.port);
  const publicPort = new PublicPort({
    server: publicServer,
    node: view.node,
    ...deps.listen,
    stopping,
    fleet: () => view.config().fleet,
    log,
    killHolder: deps.killHolder,
    // A machine's port is of no use to a router on another one.
    share: !deps.alone,
    timings,
  });
  await publicPort.start();

  const close = async (longestMs = 0) => {
    if (closing) return;
    closing = true;
    const wait = 2 * (deps.frontIntervalMs ?? 0);
    if (wait > 0 && (frontServer || publicPort.held))
      await new Promise((resolve) => setTimeout(resolve, wait));
    await publicPort.stop();
    const heir = publicPort.shared ? await findHeir(deps, parts, publicPort.at) : null;
    if (heir !== null) {
      await publicPort.letGo();
      log.info({ heir }, "the public port was handed over");
    }
    // A turn of minutes may run at a peer for a client of this router: it is not cut short. Without a
    // peer (on one machine every peer can be the heir) there is nobody that what still waits could wait for.
    const least = deps.closeBudgetMs ?? DEFAULT_CLOSE_BUDGET_MS;
    const peers = heir !== null || (deps.alone === true && view.peers().length > 0);
    const budget = peers ? Math.max(least, longestMs) : least;
    await Promise.all([
      // Without an heir or a balancer nobody would answer a client that comes again: no need for patience.
      shut(publicServer, budget, heir === null && !deps.balanced ? 0 : KEEP_ALIVE_GRACE_MS, parts),
      // A front may hold connections for long, and use one at the moment it is closed.
      ...(frontServer ? [shut(frontServer, budget, KEEP_ALIVE_GRACE_MS, parts)] : []),
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
      const host = deps.peer.address ?? deps.peer.host;
      return endpoint(host, port);
    },
    get frontPort() {
      return (frontServer?.address() as AddressInfo | null | undefined)?.port ?? null;
    },
    get port() {
      return publicPort.held
        ? ((publicServer.address() as AddressInfo | null)?.port ?? null)
        : null;
    },
    holdsPort: publicPort.taken,
    portHolder: () => publicPort.holder,
    listenAt: (host, port) => publicPort.moveTo(host, port),
    held: () => parts.held(),
    close,
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
