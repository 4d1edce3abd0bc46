import { AggregatorRegistry, type PrometheusContentType, type Registry } from "prom-client";
import type { NodeId, ShardId } from "../contract.ts";

/** Every metric of a registry with its values, as data. */
export type Numbers = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;
type Value = Numbers[number]["values"][number];

/** What a node says of itself. */
export interface NodeNumbers {
  node: NodeId;
  incarnation: string;
  numbers: Numbers;
}

/** What numbers may speak of. */
export interface Known {
  /** Owner of every shard of the fleet; null while nobody is. */
  owners: ReadonlyMap<ShardId, NodeId | null>;
  agents: ReadonlySet<string>;
}

/**
 * The numbers of all nodes of one machine, as if one process had counted them: a shard's gauges are its owner's, counters
 * and histograms are summed, other gauges are put together as the metric says (`aggregator`).
 *
 * Sums keep what a node counted that is silent or gone. Without that they would fall, and whoever
 * reads them takes a counter that fell for a new one and counts all of it again.
 */
export class MachineNumbers {
  /** By node, the newest of what it counted. */
  readonly #last = new Map<NodeId, NodeNumbers>();
  /** What ended supervisors had counted. */
  #ended: Numbers = [];

  /** @param peers those that answered */
  merge(own: NodeNumbers, peers: readonly NodeNumbers[], known: Known): Registry {
    // A peer of another release may know metrics that this one cannot put together.
    const names = new Set(own.numbers.map(({ name }) => name));
    const alike = peers.map((peer) => ({
      ...peer,
      numbers: peer.numbers.filter(({ name }) => names.has(name)),
    }));
    for (const peer of alike) this.#hear(peer);
    const gauges = alike.map(({ node, numbers }) => owned(node, numbers.filter(isGauge), known));
    const counted = [...this.#last.values()].map(({ numbers }) => numbers);
    return summed([
      owned(own.node, own.numbers, known),
      ...gauges,
      ...[...counted, this.#ended].map((numbers) => kept(numbers, (value) => stays(value, known))),
    ]);
  }

  #hear({ node, incarnation, numbers }: NodeNumbers): void {
    const last = this.#last.get(node);
    if (last && last.incarnation !== incarnation) {
      this.#ended = valuesOf(summed([this.#ended, last.numbers]));
    }
    const counted = numbers.filter((metric) => !isGauge(metric));
    this.#last.set(node, { node, incarnation, numbers: counted });
  }
}

/** A node's numbers without gauges of shards that it does not own, nor anything of what left the fleet. */
function owned(node: NodeId, numbers: Numbers, known: Known): Numbers {
  return numbers.flatMap((metric) => {
    const { owners } = known;
    const speaks = ({ labels: { shard } }: Value) =>
      !isGauge(metric) || shard === undefined || owners.get(String(shard)) === node;
    return kept([metric], (value) => speaks(value) && stays(value, known));
  });
}

function stays({ labels: { shard, agent } }: Value, { owners, agents }: Known): boolean {
  if (shard !== undefined && !owners.has(String(shard))) return false;
  return agent === undefined || agents.has(String(agent));
}

const isGauge = ({ type }: Numbers[number]): boolean => String(type) === "gauge";

const kept = (numbers: Numbers, keep: (value: Value) => boolean): Numbers =>
  numbers.map((metric) => ({ ...metric, values: metric.values.filter(keep) }));

const summed = (all: readonly Numbers[]): Registry =>
  AggregatorRegistry.aggregate<PrometheusContentType>([...all]);

/** What is in a registry that `summed` made is data already. */
const valuesOf = (registry: Registry): Numbers =>
  registry.getMetricsAsArray() as unknown as Numbers;
