import { distance } from "fastest-levenshtein";
import { ConfigError, type Fault } from "../errors.ts";
import {
  ADDRESS_QUOTA,
  type Architecture,
  BURSTABLE_MAX_CORES,
  HOST_CLASSES,
  HOST_PRICES,
  type HostClass,
  largeUnits,
  QUOTA,
  STATE_GROWTH,
  STATE_MIN_GIB,
  SYSTEM_MIB,
  USABLE_PERCENT,
  VOLUME_MAX_GIB,
} from "./catalog.ts";
import type { Ec2Settings } from "./settings.ts";

export interface HostsNeed {
  /** Ids of the nodes, in order. */
  readonly nodes: readonly string[];
  /** What one node must hold. */
  readonly node: { readonly memoryMiB: number; readonly cores: number };
  /** All shards of the fleet: after losses a host may hold any of them, and replicas of others. */
  readonly shards: number;
  /** Disk of a new shard, MiB. */
  readonly shardDiskMiB: number;
  /** Zones of the subnets. */
  readonly zones: number;
  /** Nodes that may be lost at once. */
  readonly loss: { readonly survives: boolean; readonly nodesLost: number };
  /** In public subnets, without NAT: each has a public address, and nothing but the front may call it. */
  readonly publicHosts: boolean;
  /** Nodes that have a fixed address from the edge. */
  readonly addressed: number;
  /** Port of the routers. */
  readonly port: number;
  readonly settings: Ec2Settings;
  /** What the stack's hosts have already; undefined before the first. */
  readonly recorded?: HostsRecord | undefined;
}

/** What a stack remembers of its hosts, because it cannot be taken back. */
export interface HostsRecord {
  readonly architecture: Architecture;
  /** Largest state volume so far, GiB. */
  readonly stateGiB: number;
}

export interface HostPlan {
  /** The node's id. */
  readonly node: string;
  /** Place of its zone in the context's list. */
  readonly zone: number;
}

/** What the account must allow. */
export interface QuotaNeed {
  readonly service: string;
  readonly code: string;
  readonly name: string;
  /** What these hosts add. */
  readonly need: number;
}

export interface HostsPlan {
  readonly hosts: readonly HostPlan[];
  readonly class: HostClass;
  readonly rootGiB: number;
  readonly stateGiB: number;
  /** Null: the newest image when a host is made, and then never another. */
  readonly ami: string | null;
  readonly publicHosts: boolean;
  /** Fixed public addresses that are the hosts' own, beside those of the edge. */
  readonly ownAddresses: number;
  readonly port: number;
  readonly need: HostsNeed;
  readonly record: HostsRecord;
  readonly quotas: readonly QuotaNeed[];
  readonly notes: readonly string[];
}

/** Hosts of a fleet. Throws ConfigError with every fault. */
export function planHosts(need: HostsNeed): HostsPlan {
  const { settings, recorded } = need;
  const faults: Fault[] = [];
  if (recorded && recorded.architecture !== settings.architecture) {
    faults.push({
      setting: "ec2.architecture",
      problem: `is ${settings.architecture}, and the hosts are ${recorded.architecture}; their disks start on nothing else`,
      remedy: `Set it back to ${recorded.architecture}, or make another stack and move there`,
    });
  }
  const hostClass = chooseClass(need, faults);
  const { stateGiB, note } = planState(need, faults);
  if (faults.length > 0 || !hostClass) throw new ConfigError(faults);
  const notes = note ? [note] : [];
  if (hostClass.family.burstable) {
    notes.push(
      `ec2: ${hostClass.type} saves up what it does not use; hosts that are busy for hours cost more, and ec2.burstable: false avoids that`,
    );
  }
  const ownAddresses = need.publicHosts ? Math.max(0, need.nodes.length - need.addressed) : 0;
  if (ownAddresses + need.addressed > ADDRESS_QUOTA.initially) {
    notes.push(
      `ec2: ${ownAddresses + need.addressed} hosts have a fixed public address each, and an account has ${ADDRESS_QUOTA.initially} in a region at first; ask AWS for more of ${ADDRESS_QUOTA.name} (${ADDRESS_QUOTA.code}) before the first up`,
    );
  }
  return {
    hosts: need.nodes.map((node, i) => ({ node, zone: i % need.zones })),
    class: hostClass,
    rootGiB: settings.rootGiB,
    stateGiB,
    ami: settings.ami ?? null,
    publicHosts: need.publicHosts,
    ownAddresses,
    port: need.port,
    need,
    record: { architecture: settings.architecture, stateGiB },
    // A host goes before its successor comes: never one more than the plan has.
    quotas: [
      { ...QUOTA, need: need.nodes.length * hostClass.cores },
      ...(ownAddresses > 0 ? [addressQuota(ownAddresses)] : []),
    ],
    notes,
  };
}

function addressQuota(need: number): QuotaNeed {
  const { service, code, name } = ADDRESS_QUOTA;
  return { service, code, name, need };
}

/** Whether a class has room for one node. */
export function holds(
  { cores, memoryMiB }: HostClass,
  node: { readonly memoryMiB: number; readonly cores: number },
): boolean {
  return cores >= node.cores && (memoryMiB * USABLE_PERCENT) / 100 >= node.memoryMiB + SYSTEM_MIB;
}

/** Cheapest first. Regions differ in price, not in this order; a price of one of them decides. */
function price(hostClass: HostClass): number {
  return largeUnits(hostClass) * HOST_PRICES.regions["us-east-1"][hostClass.family.name];
}

function chooseClass(need: HostsNeed, faults: Fault[]): HostClass | undefined {
  const { settings, node } = need;
  const wanted = settings.instanceType;
  if (wanted !== undefined) return checkClass(wanted, need, faults);
  const burstable = settings.burstable ?? node.cores <= BURSTABLE_MAX_CORES;
  const found = HOST_CLASSES.filter(
    (each) =>
      each.family.architecture === settings.architecture &&
      (burstable || !each.family.burstable) &&
      holds(each, node),
  ).sort((a, b) => price(a) - price(b))[0];
  if (!found) {
    faults.push({
      setting: "nodes",
      problem: `make a node of ${node.cores} cores and ${node.memoryMiB} MiB, more than any listed class of EC2 holds`,
      remedy: "Raise nodes, so that each holds fewer shards",
    });
  }
  return found;
}

function checkClass(
  wanted: string,
  { settings, node }: HostsNeed,
  faults: Fault[],
): HostClass | undefined {
  const setting = "ec2.instanceType";
  const found = HOST_CLASSES.find(({ type }) => type === wanted);
  if (!found) {
    const near = HOST_CLASSES.filter((c) => c.family.architecture === settings.architecture)
      .map(({ type }) => type)
      .sort((a, b) => distance(a, wanted) - distance(b, wanted))
      .slice(0, 3);
    faults.push({
      setting,
      problem: `is ${JSON.stringify(wanted)}, which is no class that hosts can be`,
      remedy: `Near ones are ${near.join(", ")}; leave it out to get the cheapest that fits`,
    });
    return undefined;
  }
  if (found.family.architecture !== settings.architecture) {
    faults.push({
      setting,
      problem: `is ${wanted}, which is ${found.family.architecture}, and ec2.architecture is ${settings.architecture}`,
      remedy: "Change one of them",
    });
  }
  if (!holds(found, node)) {
    faults.push({
      setting,
      problem: `is ${wanted} (${found.cores} cores, ${found.memoryMiB} MiB), and a node needs ${node.cores} cores and ${node.memoryMiB} MiB beside ${SYSTEM_MIB} MiB of the system`,
      remedy: "Take a larger one, leave it out, or raise nodes",
    });
  }
  return found;
}

function planState(need: HostsNeed, faults: Fault[]): { stateGiB: number; note: string | null } {
  const { settings, recorded, shards, shardDiskMiB } = need;
  const planned = Math.max(
    STATE_MIN_GIB,
    Math.ceil((shards * shardDiskMiB * STATE_GROWTH) / 1_024),
  );
  const wanted = settings.stateGiB ?? planned;
  const had = recorded?.stateGiB ?? 0;
  if (wanted > VOLUME_MAX_GIB) {
    faults.push({
      setting: "shards",
      problem: `are ${shards}, whose state needs ${wanted} GiB a host, and a volume has at most ${VOLUME_MAX_GIB}`,
      remedy: "Lower it, or set ec2.stateGiB",
    });
  }
  if (settings.stateGiB !== undefined && settings.stateGiB < had) {
    faults.push({
      setting: "ec2.stateGiB",
      problem: `is ${settings.stateGiB}, and the hosts' volumes have ${had} GiB already; volumes never shrink`,
      remedy: `Set it to ${had} or more, or leave it out`,
    });
  }
  if (had > wanted) {
    const note = `ec2: state volumes stay at ${had} GiB, ${wanted} would do: volumes never shrink`;
    return { stateGiB: had, note };
  }
  return { stateGiB: wanted, note: null };
}
