import type { NodeId } from "../contract.ts";
import { TurnError, type TurnResult } from "../openclaw/port.ts";
import type { LiveRoute } from "./gate.ts";
import { FLEET, peerHeaders } from "./headers.ts";
import { OwnerWatch } from "./owner-watch.ts";
import { silentAfter } from "./peer-silence.ts";
import type { TurnDeps } from "./turn.ts";
import type { TurnListener, TurnOrder } from "./turn-runner.ts";
import { LineReader } from "./turn-wire.ts";

const ABORT_TIMEOUT_MS = 2_000;

/** Has a turn run by the owner on another node: directly, else through a peer that can reach it. */
export async function onPeer(
  deps: TurnDeps,
  order: TurnOrder,
  route: Extract<LiveRoute, { at: "peer" }>,
  listener: TurnListener,
  requestId: string,
  signal: AbortSignal,
): Promise<TurnResult> {
  const direct = await ask(deps, order, route, route.address, null, listener, requestId, signal);
  if (direct !== "unreachable") return direct;
  for (const other of deps.view.peers()) {
    if (other.node === route.node || other.node === deps.view.node) continue;
    const relayed = await ask(
      deps,
      order,
      route,
      other.address,
      route.node,
      listener,
      requestId,
      signal,
    );
    if (relayed !== "unreachable") return relayed;
  }
  throw new TurnError("refused", `node ${route.node} cannot be reached from here`, false);
}

/** Asks a peer to run the turn. "unreachable": nothing was asked, since no connection leads there this way. */
async function ask(
  deps: TurnDeps,
  order: TurnOrder,
  route: Extract<LiveRoute, { at: "peer" }>,
  address: string,
  relay: NodeId | null,
  listener: TurnListener,
  requestId: string,
  signal: AbortSignal,
): Promise<TurnResult | "unreachable"> {
  const mark = peerHeaders({
    shard: order.shard,
    epoch: route.epoch,
    incarnation: route.incarnation,
    token: deps.peerToken(),
    hop: 1,
    relay,
  });
  const wire = {
    origin: deps.upstreams.peer(address),
    headers: [...mark, "x-request-id", requestId],
  };
  const lines = new LineReader();
  let sent = false;
  let unreached = false;
  let answered = false;
  let result: TurnResult | null = null;
  let failure: TurnError | null = null;
  const cancel = () => {
    deps.upstreams
      .ask(
        {
          ...wire,
          method: "POST",
          path: "/internal/turn/abort",
          body: Buffer.from(JSON.stringify({ runId: order.runId })),
        },
        ABORT_TIMEOUT_MS,
      )
      .catch(() => undefined);
  };
  signal.addEventListener("abort", cancel, { once: true });
  // Whatever it did, it or its successor knows from the history.
  const watch = new OwnerWatch(
    deps.view,
    { shard: order.shard, epoch: route.epoch },
    signal,
    0,
    silentAfter(deps.aliveMs),
  );
  // The owner counts the same time and says so; this is for one that nothing is heard of.
  const budget = new AbortController();
  const timer = setTimeout(() => budget.abort(), order.budgetMs);
  try {
    const ending = await deps.upstreams.send(
      {
        ...wire,
        method: "POST",
        path: "/internal/turn",
        headers: [...wire.headers, "content-type", "application/json"],
        body: Buffer.from(JSON.stringify(order)),
        live: () => true,
      },
      {
        onSent: () => {
          sent = true;
        },
        onHead: (status, headers) => {
          watch.heard();
          answered = status === 200;
          // Without this mark a refusal is a relay's that lost the owner with the turn under way.
          unreached = headers[FLEET.unreached] !== undefined;
        },
        onData: (chunk) => {
          watch.heard();
          if (unreached || !answered) return true;
          for (const line of lines.push(chunk)) {
            if (line.t === "reached") listener.onReached();
            else if (line.t === "delta") listener.onDelta(line.text);
            else if (line.t === "done") result = line.result;
            else if (line.t === "error") {
              failure = new TurnError(line.kind, line.message, line.reached);
            }
          }
          return true;
        },
      },
      AbortSignal.any([watch.signal, budget.signal]),
    );
    if (result) return result;
    if (failure) throw failure;
    // A relay that refuses may know no way either, or be gone itself: another one is asked.
    if (relay !== null && (unreached || ending.ending === "unreached")) return "unreachable";
    if (unreached) throw new TurnError("refused", `node ${route.node} is not the owner`, false);
    if (ending.ending === "unreached") {
      if (!ending.refused) return "unreachable";
      throw new TurnError("refused", ending.why, false);
    }
    if (!sent) throw new TurnError("refused", "nothing was sent in time", false);
    if (budget.signal.aborted) throw new TurnError("timeout", "no answer in its time", true);
    const why = watch.lost ? "the owner is silent" : "the connection to the owner broke";
    throw new TurnError("lost", why, true);
  } finally {
    watch.close();
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
  }
}
