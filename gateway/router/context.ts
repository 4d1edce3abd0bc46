import type { IncomingMessage, ServerResponse } from "node:http";
import type { AgentConfig } from "../config.ts";
import type { NodeId, ShardId } from "../contract.ts";
import type { Limiter } from "../limits/limiter.ts";
import type { MachineNumbers } from "../observe/machine.ts";
import type { AddressSet, ClientAddress, Tokens } from "./auth.ts";
import type { RouterDeps } from "./deps.ts";
import { RouterError } from "./errors.ts";
import type { Gate } from "./gate.ts";
import { DEFAULT_AGENT } from "./key.ts";
import type { Placing } from "./placing.ts";
import type { PortAnswer, PortOrder } from "./port-heir.ts";
import type { Target } from "./routes.ts";
import type { SessionMap } from "./session-map.ts";
import type { TurnDeps } from "./turn.ts";
import type { TurnRunner } from "./turn-runner.ts";
import type { Upstreams } from "./upstream.ts";
import type { FleetView } from "./view.ts";

/** What all requests of one router share. */
export interface RouterParts {
  gate: Gate;
  upstreams: Upstreams;
  sessionMap: SessionMap;
  /** The conversations that a shard's own gateway knows, here or at a peer; throws when it cannot be asked now. */
  listSessions(shard: ShardId): Promise<{ agent: string; session: string }[]>;
  placing: Placing;
  /** Requests that wait in this router now: for an owner, or until it can be told where they belong. */
  held(): number;
  /** Numbers of the nodes that share this machine's public port. */
  machine: MachineNumbers;
  turns: TurnDeps;
  runner: TurnRunner;
  tokens: Tokens;
  limiter: Limiter;
  /** How often something moves on a turn or WebSocket between two nodes, ms. */
  aliveMs: number;
  /** Proxies and scrapers of the settings in force now. */
  addresses(): { trusted: AddressSet; scrapers: AddressSet };
  /** Settings of an agent; throws `unknown_agent`. */
  agent(name: string): AgentConfig;
  /** True once the router was asked to stop. */
  stopping(): boolean;
  /** A client's WebSockets, closed when the router ends. */
  sockets: Set<{ closeForRestart(): void; terminate(): void }>;
  /** The holder of the public port wants this router to have it. */
  takePort(order: PortOrder): Promise<PortAnswer>;
}

/** One request on its way. */
export interface RequestContext {
  deps: RouterDeps;
  router: RouterParts;
  req: IncomingMessage;
  res: ServerResponse;
  target: Target;
  requestId: string;
  client: ClientAddress;
  /** Fires when the client left before its answer was whole. */
  gone: AbortSignal;
  /** Set when an answer had begun and then failed; for the log. */
  failed: RouterError | null;
  /** Names the owner in the answer's headers, while they are not sent. */
  answeredBy(shard: ShardId, node: NodeId, epoch: number): void;
}

/** The agent a request named; `main` falls to the first agent in a fleet that has no `main`. */
export function findAgent(view: FleetView, name: string): AgentConfig {
  const agent = view.agent(name);
  if (agent) return agent;
  const { agents } = view.config();
  if (name === DEFAULT_AGENT && agents[0]) return agents[0];
  const known = agents
    .slice(0, 20)
    .map((each) => each.name)
    .join(", ");
  throw new RouterError("unknown_agent", `there is no agent "${name}"; this fleet has ${known}`);
}
