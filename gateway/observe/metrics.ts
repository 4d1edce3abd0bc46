import { type Aggregator, Counter, Gauge, Histogram, Registry } from "prom-client";
import { NODE_STATES, type NodeState, SHARD_STATES, type ShardState } from "../contract.ts";

const PREFIX = "openclaw_fleet_";

/**
 * Every metric of the project, with fixed label sets. Values of `shard` and `agent` come from the
 * fleet's settings and are removed with them (`prune`), so memory stays bounded. How a metric is put together from
 * several nodes (`aggregator`) is used where they share a machine: see machine.ts.
 */
export interface FleetMetrics {
  registry: Registry;
  requests: Counter<"route" | "code">;
  requestDuration: Histogram<string>;
  heldRequests: Gauge<string>;
  shardState: Gauge<"shard" | "state">;
  shardTransitions: Counter<"shard" | "to">;
  leaseEpoch: Gauge<"shard">;
  failovers: Counter<"shard" | "reason">;
  failoverDuration: Histogram<string>;
  gatewayRestarts: Counter<"shard" | "reason">;
  turnsCut: Counter<"shard">;
  gatewayMemory: Gauge<"shard">;
  tokens: Counter<"agent" | "kind">;
  sessionsActive: Gauge<"agent">;
  toolCalls: Counter<"agent" | "kind">;
  replicaLag: Gauge<"shard">;
  unreplicated: Gauge<"shard">;
  replicaSent: Counter<"shard">;
  historyLost: Counter<"shard">;
  storeUp: Gauge<string>;
  sessionStoreUp: Gauge<string>;
  nodeState: Gauge<"node" | "state">;
  /** One for the state a shard is in, zero for the others. */
  setShardState(shard: string, state: ShardState): void;
  /** One for the state each node is in, zero for the others; nodes that left the fleet are forgotten. */
  setNodeStates(nodes: readonly { readonly id: string; readonly state: NodeState }[]): void;
  /** Forgets shards and agents that left the fleet. */
  prune(shards: ReadonlySet<string>, agents: ReadonlySet<string>): Promise<void>;
}

/** Turns take from a tenth of a second to ten minutes. */
const REQUEST_BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
/** Around the targets for a lost gateway and a lost node (15 s and 25 s). */
const FAILOVER_BUCKETS = [1, 2.5, 5, 7.5, 10, 12.5, 15, 20, 25, 30, 45, 60, 120];

/** A registry of its own: two nodes in one process (tests) do not meet. */
export function createMetrics(): FleetMetrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name: PREFIX + name, help, labelNames, registers });
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    aggregator: Aggregator = "sum",
  ) => new Gauge<L>({ name: PREFIX + name, help, labelNames, registers, aggregator });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: PREFIX + name, help, buckets, registers });

  const shardState = gauge(
    "shard_state",
    "1 for the state a shard of this node is in; of a failed one, which is nobody's, every node tells",
    ["shard", "state"],
  );
  const shardTransitions = counter(
    "shard_transitions_total",
    "Changes of a shard's state on this node, by the state it came to",
    ["shard", "to"],
  );
  const leaseEpoch = gauge("lease_epoch", "Epoch of a shard's lease", ["shard"]);
  const failovers = counter("failovers_total", "Shards taken over by this node", [
    "shard",
    "reason",
  ]);
  const gatewayRestarts = counter("gateway_restarts_total", "Gateways restarted in place", [
    "shard",
    "reason",
  ]);
  const turnsCut = counter(
    "turns_cut_total",
    "Turns that a drain gave up because they did not end in time",
    ["shard"],
  );
  const gatewayMemory = gauge("gateway_memory_bytes", "Memory of a gateway and its helpers", [
    "shard",
  ]);
  const tokens = counter("tokens_total", "Tokens used, by agent and kind (input, output, cache…)", [
    "agent",
    "kind",
  ]);
  const sessionsActive = gauge(
    "sessions_active",
    "Sessions with a request through this router in the last 15 minutes",
    ["agent"],
  );
  const toolCalls = counter("tool_calls_total", "Tool calls, by agent and kind", ["agent", "kind"]);
  const replicaLag = gauge("replica_lag_seconds", "Age of the newest change not yet replicated", [
    "shard",
  ]);
  const unreplicated = gauge(
    "unreplicated",
    "1 while a shard serves and nothing of it could be replicated for 5 s",
    ["shard"],
  );
  const replicaSent = counter("replica_sent_bytes_total", "Bytes put to replicas", ["shard"]);
  const historyLost = counter("history_lost_total", "Answers that a restored state does not have", [
    "shard",
  ]);

  const nodeState = gauge(
    "node_state",
    "1 for the state a node is in, as this router sees it",
    ["node", "state"],
    "first",
  );

  return {
    registry,
    requests: counter("requests_total", "Requests answered", ["route", "code"]),
    requestDuration: histogram(
      "request_duration_seconds",
      "From the request's head to the end of its answer",
      REQUEST_BUCKETS,
    ),
    heldRequests: gauge("held_requests", "Requests waiting for an owner in this router"),
    shardState,
    shardTransitions,
    leaseEpoch,
    failovers,
    failoverDuration: histogram(
      "failover_duration_seconds",
      "From the loss of an owner to the next answer it could give",
      FAILOVER_BUCKETS,
    ),
    gatewayRestarts,
    turnsCut,
    gatewayMemory,
    tokens,
    sessionsActive,
    toolCalls,
    replicaLag,
    unreplicated,
    replicaSent,
    historyLost,
    storeUp: gauge("store_up", "1 while the lease store answers", [], "min"),
    sessionStoreUp: gauge("session_store_up", "1 while the session store answers", [], "min"),
    nodeState,
    setShardState(shard, state) {
      for (const each of SHARD_STATES)
        shardState.set({ shard, state: each }, each === state ? 1 : 0);
    },
    setNodeStates(nodes) {
      nodeState.reset();
      for (const { id, state } of nodes) {
        for (const each of NODE_STATES) {
          nodeState.set({ node: id, state: each }, each === state ? 1 : 0);
        }
      }
    },
    async prune(shards, agents) {
      const by = async (
        metric: Pick<Counter<string> | Gauge<string>, "get" | "remove">,
        label: string,
        keep: ReadonlySet<string>,
      ) => {
        for (const { labels } of (await metric.get()).values) {
          const named = labels as Record<string, string>;
          if (!keep.has(String(named[label]))) metric.remove(named);
        }
      };
      for (const metric of [
        shardState,
        shardTransitions,
        leaseEpoch,
        failovers,
        gatewayRestarts,
        turnsCut,
        gatewayMemory,
        replicaLag,
        unreplicated,
        replicaSent,
        historyLost,
      ]) {
        await by(metric as Gauge<string>, "shard", shards);
      }
      for (const metric of [tokens, sessionsActive, toolCalls]) {
        await by(metric as Gauge<string>, "agent", agents);
      }
    },
  };
}
