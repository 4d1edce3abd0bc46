import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { endpoint } from "../address.ts";
import { HEADER, LEASE, type NodeId, type ShardId } from "../contract.ts";
import { HiddenUsage } from "../limits/hidden-usage.ts";
import { UsageTail } from "../limits/usage-tail.ts";
import { ClientGone, errorBody, RouterError } from "./errors.ts";
import type { Gate, LiveRoute, Slot } from "./gate.ts";
import { answerHeaders, FLEET, type FlatHeaders, peerHeaders, withSession } from "./headers.ts";
import { OwnerWatch } from "./owner-watch.ts";
import { onceDrained } from "./slow-client.ts";
import type { Ending, Upstreams } from "./upstream.ts";
import type { FleetView } from "./view.ts";

/** An HTTP request as OpenClaw shall see it, whole, so that it can be sent again while unreached. */
export interface Outgoing {
  shard: ShardId;
  /** For the order of held requests; null: none. */
  session: string | null;
  method: string;
  path: string;
  headers: FlatHeaders;
  body: Buffer | null;
  /** Add OpenClaw's own token (`/v1`); webhooks carry the sender's proof instead. */
  gatewayToken: boolean;
  waitMs: number;
  requestId: string;
  /** Told the model tokens that a whole answer says it used. */
  onTokens?: (tokens: number) => void;
  /** A stream says its tokens for `onTokens` alone; the client did not ask. @default false */
  hideUsage?: boolean;
}

/** A turn that was interrupted in a closed session is taken up first, and waited for so long, ms. */
const SESSION_MS = 60_000;

export interface ForwardDeps {
  view: FleetView;
  gate: Gate;
  upstreams: Upstreams;
  peerToken: () => string;
}

/**
 * Brings a request to its owner and the answer to the client. The law: what was not reached is tried
 * again on whoever owns the shard then; what was reached is never sent a second time.
 */
export async function forward(
  deps: ForwardDeps,
  outgoing: Outgoing,
  res: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  let slot = await deps.gate.enter({
    shard: outgoing.shard,
    session: outgoing.session,
    bytes: outgoing.body?.length ?? 0,
    waitMs: outgoing.waitMs,
    signal,
  });
  try {
    for (;;) {
      const result = await attempt(deps, outgoing, slot.route, res, signal, slot);
      if (result.next === "done") return;
      slot = await slot.again(result.why, result.afterMs);
    }
  } finally {
    slot.done();
  }
}

export type Next = { next: "done" } | { next: "again"; why: string; afterMs?: number };

/** One attempt on the owner (directly, then through a peer); nothing is waited for. */
export async function attempt(
  deps: ForwardDeps,
  outgoing: Outgoing,
  route: LiveRoute,
  res: ServerResponse,
  signal: AbortSignal,
  slot: Pick<Slot, "reached">,
): Promise<Next> {
  if (route.at === "here") {
    const present = await inPresentSession(outgoing, route, signal);
    return once(deps, here(present, route), route, outgoing, res, signal, slot, deps.view.node);
  }
  const direct = peer(deps, outgoing, route, route.address, null);
  const result = await once(deps, direct, route, outgoing, res, signal, slot, route.node);
  if (result.next === "done" || !("unreachable" in result)) return result;
  // The owner's address is silent for us; a peer may still have a way to it.
  for (const other of deps.view.peers()) {
    if (other.node === route.node || other.node === deps.view.node) continue;
    const relayed = peer(deps, outgoing, route, other.address, route.node);
    const through = await once(deps, relayed, route, outgoing, res, signal, slot, route.node);
    if (through.next === "done") return through;
  }
  return result;
}

/** Such an API has no word for a session that OpenClaw closed, only an error, so the gateway is asked before. */
async function inPresentSession(
  outgoing: Outgoing,
  { gateway }: Extract<LiveRoute, { at: "here" }>,
  signal: AbortSignal,
): Promise<Outgoing> {
  const headers = await withSession(outgoing.headers, async (key) => {
    const over = AbortSignal.any([signal, AbortSignal.timeout(SESSION_MS)]);
    const ended = new Promise<string>((resolve) => {
      if (over.aborted) resolve(key);
      over.addEventListener("abort", () => resolve(key), { once: true });
    });
    // It is sent as it is where OpenClaw says nothing: it says itself what is wrong.
    return await Promise.race([gateway.presentSession(key).catch(() => key), ended]);
  });
  if (signal.aborted) throw new ClientGone("the client left");
  return { ...outgoing, headers };
}

interface Wire {
  origin: string;
  headers: FlatHeaders;
  live: () => boolean;
  toPeer: boolean;
}

function here(outgoing: Outgoing, route: Extract<LiveRoute, { at: "here" }>): Wire {
  const headers = outgoing.gatewayToken
    ? [...outgoing.headers, "authorization", `Bearer ${route.token}`]
    : outgoing.headers;
  return {
    origin: `http://${endpoint(route.host, route.port)}`,
    headers,
    live: () => route.live(),
    toPeer: false,
  };
}

function peer(
  deps: ForwardDeps,
  outgoing: Outgoing,
  route: Extract<LiveRoute, { at: "peer" }>,
  address: string,
  relay: NodeId | null,
): Wire {
  const mark = peerHeaders({
    shard: outgoing.shard,
    epoch: route.epoch,
    incarnation: route.incarnation,
    token: deps.peerToken(),
    hop: 1,
    relay,
  });
  return {
    origin: deps.upstreams.peer(address),
    headers: [...outgoing.headers, ...mark],
    live: () => true,
    toPeer: true,
  };
}

async function once(
  deps: ForwardDeps,
  wire: Wire,
  route: LiveRoute,
  outgoing: Outgoing,
  res: ServerResponse,
  signal: AbortSignal,
  slot: Pick<Slot, "reached">,
  owner: NodeId,
): Promise<Next | (Next & { unreachable: true })> {
  // What a gateway here says ends with its process; a peer may fall silent without a word.
  const watch = wire.toPeer
    ? new OwnerWatch(
        deps.view,
        { shard: outgoing.shard, epoch: route.epoch },
        signal,
        LEASE.wakeGraceMs,
      )
    : null;
  const reached = () => slot.reached();
  const answer = new Relay(res, outgoing, route, owner, wire.toPeer, reached, watch);
  try {
    const ending = await deps.upstreams.send(
      {
        origin: wire.origin,
        method: outgoing.method,
        path: outgoing.path,
        headers: wire.headers,
        body: outgoing.body,
        live: wire.live,
      },
      answer,
      watch?.signal ?? signal,
    );
    return answer.conclude(ending);
  } finally {
    watch?.close();
  }
}

/** Passes one answer through, or finds out that there is none to pass. */
class Relay {
  readonly #res: ServerResponse;
  readonly #outgoing: Outgoing;
  readonly #route: LiveRoute;
  readonly #owner: NodeId;
  readonly #toPeer: boolean;
  readonly #reached: () => void;
  readonly #watch: OwnerWatch | null;
  /** The answer says that no gateway was reached: it is not passed on. */
  #refusedAfterMs: number | null = null;
  #stream = false;
  #begun = false;
  readonly #usage: UsageTail | null;
  readonly #hidden: HiddenUsage | null;

  constructor(
    res: ServerResponse,
    outgoing: Outgoing,
    route: LiveRoute,
    owner: NodeId,
    toPeer: boolean,
    reached: () => void,
    watch: OwnerWatch | null,
  ) {
    this.#res = res;
    this.#outgoing = outgoing;
    this.#route = route;
    this.#owner = owner;
    this.#toPeer = toPeer;
    this.#reached = reached;
    this.#watch = watch;
    this.#usage = outgoing.onTokens ? new UsageTail() : null;
    this.#hidden = outgoing.hideUsage ? new HiddenUsage() : null;
  }

  onSent(): void {
    // A peer may still say that it is not the owner; the gateway's own socket cannot.
    if (!this.#toPeer) this.#reached();
  }

  onHead(status: number, headers: IncomingHttpHeaders): void {
    const retryAfter = headers["retry-after"];
    if (this.#toPeer && headers[FLEET.unreached] !== undefined) {
      this.#refusedAfterMs = seconds(retryAfter) * 1000;
      return;
    }
    if (!this.#toPeer && status === 503 && retryAfter !== undefined) {
      this.#refusedAfterMs = seconds(retryAfter) * 1000;
      return;
    }
    this.#reached();
    this.#watch?.heard();
    this.#begun = true;
    this.#stream = String(headers["content-type"] ?? "").startsWith("text/event-stream");
    if (this.#res.destroyed) return;
    const out = answerHeaders(headers);
    if (!this.#toPeer) {
      out[HEADER.shard] = this.#outgoing.shard;
      out[HEADER.epoch] = String(this.#route.epoch);
      out[HEADER.instance] = this.#owner;
    }
    out[HEADER.requestId] = this.#outgoing.requestId;
    this.#res.writeHead(status, out);
  }

  onData(chunk: Buffer, resume: () => void): boolean {
    if (this.#refusedAfterMs !== null || this.#res.destroyed) return true;
    this.#watch?.heard();
    this.#usage?.push(chunk);
    const shown = this.#stream && this.#hidden ? this.#hidden.push(chunk) : chunk;
    if (shown.length === 0 || this.#res.write(shown)) return true;
    this.#watch?.hold(true);
    onceDrained(this.#res, () => {
      this.#watch?.hold(false);
      resume();
    });
    return false;
  }

  conclude(ending: Ending): Next | (Next & { unreachable: true }) {
    switch (ending.ending) {
      case "complete":
        if (this.#refusedAfterMs !== null) {
          return {
            next: "again",
            why: "the gateway admits nothing now",
            afterMs: this.#refusedAfterMs,
          };
        }
        this.#res.end(this.#hidden?.rest());
        if (this.#usage) this.#outgoing.onTokens?.(this.#usage.tokens());
        return { next: "done" };
      case "unreached": {
        const again = { next: "again", why: ending.why } as const;
        return this.#toPeer && !ending.refused ? { ...again, unreachable: true } : again;
      }
      case "stopped":
        if (!this.#watch?.lost) throw new ClientGone("the client left");
        return this.#lost(this.#begun, "the owner is silent, and the shard has another one");
      case "lost":
        return this.#lost(ending.begun, ending.why);
    }
  }

  #lost(begun: boolean, why: string): Next {
    if (this.#refusedAfterMs !== null) return { next: "again", why };
    if (!begun) throw this.#ownerLost();
    this.#breakOff();
    return { next: "done" };
  }

  #ownerLost(): RouterError {
    return new RouterError(
      "owner_lost",
      `the owner of shard ${this.#outgoing.shard} was lost before it answered; the request may have run, so it was not sent again`,
    );
  }

  /** The client must see that the answer is not whole. */
  #breakOff(): void {
    if (this.#res.destroyed) return;
    if (!this.#stream) {
      this.#res.destroy();
      return;
    }
    const body = errorBody(this.#ownerLost(), this.#outgoing.requestId);
    this.#res.end(`\n\ndata: ${JSON.stringify(body)}\n\n`);
  }
}

function seconds(value: string | string[] | undefined): number {
  const parsed = Number(Array.isArray(value) ? value[0] : value);
  return Number.isFinite(parsed) && parsed > 0 ? parsed : 0;
}
