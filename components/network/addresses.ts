import {
  BALANCER_FREE,
  CLUSTER_FREE,
  NODE_INTERFACES,
  POD_BLOCK_PREFIX,
  SUBNET_RESERVED,
  SURGE_NODES,
  WARM_BLOCKS,
} from "./catalog.ts";
import { sizeOf } from "./cidr.ts";

/** What must find an address. Counts of the whole fleet, but where said otherwise. */
export interface NetworkLoad {
  /** Load balancers. Their subnets keep room for one even at 0, so that a front can be added. */
  readonly balancers: number;
  /** Hosts with a public address of their own. */
  readonly publicHosts: number;
  /** Hosts without one. */
  readonly privateHosts: number;
  /** Nodes of a cluster, at their highest count, and the most pods that one runs. Left out: no cluster. */
  readonly pods?: { readonly nodes: number; readonly podsPerNode: number };
  /** Addresses of cache, database, its proxy and files in each zone's data subnet. */
  readonly dataPerZone: number;
}

export const SUBNET_KINDS = ["public", "private", "data"] as const;
/** `public` has a route to the internet gateway, `private` one through NAT, `data` none. */
export type SubnetKind = (typeof SUBNET_KINDS)[number];

/** Demand on one zone's subnet. */
export interface Demand {
  readonly kind: SubnetKind;
  /** Single addresses. */
  readonly single: number;
  /** Blocks of a /28 for pods. */
  readonly blocks: number;
  /** How `single` and `blocks` came about. */
  readonly why: string;
}

/**
 * Demand on each zone's subnets while one zone is lost and its machines run in the others.
 * `endpoints`: interfaces of endpoints in each private subnet; `natGateways`: those in a public subnet.
 */
export function demands(
  load: NetworkLoad,
  zones: number,
  { endpoints, natGateways }: { endpoints: number; natGateways: number },
): Demand[] {
  const share = (count: number) => Math.ceil(count / Math.max(1, zones - 1));
  const nodes = load.pods ? share(load.pods.nodes) + SURGE_NODES : 0;
  const blocksPerNode = load.pods
    ? Math.ceil(load.pods.podsPerNode / sizeOf(POD_BLOCK_PREFIX)) + WARM_BLOCKS
    : 0;
  const balancers = Math.max(1, load.balancers) * BALANCER_FREE;
  return [
    {
      kind: "public",
      single: balancers + natGateways + share(load.publicHosts),
      blocks: 0,
      why: `${balancers} for balancers, ${natGateways} for NAT, ${share(load.publicHosts)} for hosts`,
    },
    {
      kind: "private",
      single:
        share(load.privateHosts) +
        endpoints +
        (load.pods ? nodes * NODE_INTERFACES + CLUSTER_FREE : 0),
      blocks: nodes * blocksPerNode,
      why: load.pods
        ? `${nodes} nodes with ${load.pods.podsPerNode} pods each, once a zone is lost`
        : `${share(load.privateHosts)} for hosts, ${endpoints} for endpoints`,
    },
    { kind: "data", single: load.dataPerZone, blocks: 0, why: "cache, database and files" },
  ];
}

/**
 * Room in a subnet with this mask. With pods its upper half is kept for their blocks, since one single
 * address in a block makes it useless for them.
 */
export function roomIn(prefix: number, withPods: boolean): { single: number; blocks: number } {
  const size = sizeOf(prefix);
  return withPods
    ? { single: size / 2 - SUBNET_RESERVED, blocks: size / 2 / sizeOf(POD_BLOCK_PREFIX) }
    : { single: size - SUBNET_RESERVED, blocks: 0 };
}

export function fits(demand: Demand, prefix: number): boolean {
  const room = roomIn(prefix, demand.blocks > 0);
  // The last address of the upper half is AWS's, so its last block is not whole.
  return demand.single <= room.single && demand.blocks <= Math.max(0, Math.floor(room.blocks) - 1);
}

/** Room and demand of one kind of subnet, a zone. */
export interface Room {
  readonly kind: SubnetKind;
  readonly addresses: number;
  readonly needed: number;
  /** Blocks of a /28 for pods. */
  readonly podBlocks: number;
  readonly podBlocksNeeded: number;
  readonly why: string;
}

export function roomOf(demand: Demand, prefix: number): Room {
  const room = roomIn(prefix, demand.blocks > 0);
  return {
    kind: demand.kind,
    addresses: room.single,
    needed: demand.single,
    podBlocks: Math.max(0, Math.floor(room.blocks) - 1),
    podBlocksNeeded: demand.blocks,
    why: demand.why,
  };
}
