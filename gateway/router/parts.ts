import type { Clock } from "../clock.ts";
import type { FleetConfig } from "../config.ts";
import { Limiter } from "../limits/limiter.ts";
import { MemoryRates } from "../limits/rates.ts";
import { MachineNumbers } from "../observe/machine.ts";
import { AddressSet, Tokens } from "./auth.ts";
import { findAgent, type RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { Gate } from "./gate.ts";
import { FLEET, peerHeaders } from "./headers.ts";
import { ALIVE_MS } from "./peer-silence.ts";
import { Placing } from "./placing.ts";
import { SessionMap } from "./session-map.ts";
import type { TurnDeps } from "./turn.ts";
import { TurnRunner } from "./turn-runner.ts";
import { Upstreams } from "./upstream.ts";

/**
 * For waits that have nothing to do with ownership. The clock of ownership reads a file of the kernel
 * on Linux: a tenth of a request's CPU when asked four times (decision 060).
 */
const quickClock: Clock = { now: () => performance.now() };

const LIST_TIMEOUT_MS = 10_000;

/** What all requests of a router share. */
export function assemble(
  deps: RouterDeps,
  stopping: () => boolean,
  takePort: RouterParts["takePort"],
): RouterParts {
  const { view, clock, log, sessions } = deps;
  const gate = new Gate(view, quickClock);
  const upstreams = new Upstreams(deps.tls ?? null);
  const runner = new TurnRunner();
  const tokens = new Tokens(() => view.config());
  const peerToken = () => tokens.peerToken;
  const aliveMs = deps.aliveMs ?? ALIVE_MS;
  const turns: TurnDeps = { view, gate, upstreams, runner, clock, log, peerToken, aliveMs };
  const listSessions = async (shard: string) => {
    const route = view.route(shard);
    if (route.at === "here") return route.gateway.sessions();
    if (route.at !== "peer") throw new Error(`shard ${shard} has no owner`);
    const { epoch, incarnation, address } = route;
    const mark = { shard, epoch, incarnation, token: peerToken(), hop: 1, relay: null };
    const answer = await upstreams.ask(
      {
        origin: upstreams.peer(address),
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
  const sessionMap = new SessionMap({ view, sessions, clock: quickClock, log, listSessions });
  const placing = new Placing(sessionMap, quickClock);
  return {
    gate,
    upstreams,
    runner,
    tokens,
    limiter: new Limiter({
      limits: () => view.config().limits,
      shared: sessions.rates ?? null,
      own: new MemoryRates(quickClock),
      log,
    }),
    aliveMs,
    turns,
    sessionMap,
    listSessions,
    placing,
    held: () => gate.held() + placing.waiting,
    machine: new MachineNumbers(),
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
