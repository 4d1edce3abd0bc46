import { ConfigError, type Fault } from "../components/errors.ts";
import { etcdVoters } from "../components/etcd/plan.ts";
import type { NodeId } from "../gateway/contract.ts";
import {
  CAPACITY,
  type CapacityName,
  type CapacityNumbers,
  capacityNumbers,
  LOCAL_MAX_SHARDS,
} from "./capacity.ts";
import {
  type AgentPlace,
  type AgentToPlace,
  DEFAULT_AGENT,
  placeAgents,
  sharedShardIds,
} from "./placement.ts";
import {
  LOCAL_DEFAULT,
  PRESETS,
  type Preset,
  type PresetName,
  type RedisMode,
  type Target,
} from "./preset-table.ts";
import { planLoss, planShards, type ShardPlan } from "./shard-plan.ts";
import { checkAgents, checkBinding, checkCount, namedNodes } from "./size-checks.ts";

export * from "./preset-table.ts";
export type { ShardPlan } from "./shard-plan.ts";

/** What sizing reads of the settings. */
export interface SizingSettings {
  readonly target: Target;
  readonly preset?: PresetName;
  readonly users?: number;
  readonly nodes?: number;
  /** Machines that exist (target `hosts`): those that are no witness are the nodes, by their names. */
  readonly hosts?: readonly { readonly name: string; readonly witness: boolean }[];
  readonly shards?: number;
  readonly agents?: readonly (AgentToPlace & { readonly memoryMiB?: number })[];
  readonly channelBinding?: Readonly<Record<string, readonly string[]>>;
  /** Zones that the nodes are spread over, when what is left after the loss of one must hold everything. */
  readonly zones?: number;
  readonly sizes?: Partial<CapacityNumbers> & {
    readonly nodeMemoryMiB?: number;
    readonly nodeCores?: number;
  };
}

export interface FleetPlan {
  readonly target: Target;
  readonly preset: PresetName;
  /** Users the plan is made for; null where shards were set or the local default holds. */
  readonly users: number | null;
  readonly redis: RedisMode;
  readonly nodes: NodeId[];
  readonly shards: ShardPlan[];
  /** Where each agent lives; `main` is always among them. */
  readonly agents: Record<string, AgentPlace>;
  readonly node: { readonly memoryMiB: number; readonly cores: number };
  /** What stands after the loss of one node, or of one zone where `zones` was given. */
  readonly loss: {
    readonly nodesLost: number;
    readonly nodesLeft: number;
    readonly shardsPerNode: number;
    readonly memoryMiBPerNode: number;
    readonly survives: boolean;
    readonly sentence: string;
  };
  /** One machine that carries the whole fleet (`local`), or one node of it. */
  readonly machine: {
    readonly memoryMiB: number;
    readonly cores: number;
    readonly diskMiB: number;
  };
  /** Turns a second that all shards together answer. */
  readonly turnsPerSecond: number;
  /** What a person should know, without being an error. */
  readonly notes: string[];
  /** Every number used, with its source, for `fleet plan`. */
  readonly numbers: { name: CapacityName; value: number; unit: string; source: string }[];
}

/**
 * Makes a fleet of settings. Pure. `recorded` is where agents live already (see `placeAgents`).
 * Throws ConfigError with every number that cannot be.
 */
export function planFleet(
  settings: SizingSettings,
  recorded: Readonly<Record<string, AgentPlace>> = {},
): FleetPlan {
  const numbers = capacityNumbers(settings.sizes);
  const agents = withDefaultAgent(settings.agents ?? []);
  const faults: Fault[] = [];
  const named = namedNodes(settings);
  checkCount(settings, named, faults);
  const sized = named ? { ...settings, nodes: named.length } : settings;
  const { preset, nodeCount, sharedCount, users } = count(sized, numbers, faults);
  const nodes = named ?? nodeIds(nodeCount);
  checkAgents(settings.agents ?? [], sharedCount, faults);
  checkBinding(settings.channelBinding ?? {}, nodes, faults);
  const dedicatedCount = agents
    .filter((a) => a.placement === "dedicated")
    .reduce((sum, a) => sum + (a.replicas ?? 1), 0);
  if (settings.target === "local" && sharedCount + dedicatedCount > LOCAL_MAX_SHARDS) {
    faults.push({
      setting: settings.shards === undefined ? "users" : "shards",
      problem: `makes ${sharedCount + dedicatedCount} shards, and one machine has ports for ${LOCAL_MAX_SHARDS}`,
      remedy: "Lower it, or use a target with several hosts",
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);

  const shared = sharedShardIds(sharedCount);
  const places = placeAgents(agents, shared, recorded);
  const shards = planShards(agents, shared, places, numbers);
  const loss = planLoss(preset, nodeCount, shards, numbers, {
    zones: settings.zones,
    voters: voters(settings, nodeCount),
  });
  const node = {
    memoryMiB:
      settings.sizes?.nodeMemoryMiB ?? Math.max(preset.nodeMemoryMiB, loss.memoryMiBPerNode),
    cores:
      settings.sizes?.nodeCores ??
      Math.max(preset.nodeCores, Math.ceil(loss.shardsPerNode * numbers.coresPerShard)),
  };
  if (node.memoryMiB < loss.memoryMiBPerNode) {
    throw new ConfigError(
      "sizes.nodeMemoryMiB",
      `is ${node.memoryMiB}, but a node must hold ${loss.shardsPerNode} shards (${loss.memoryMiBPerNode} MiB)${loss.survives ? " once another one is lost" : ""}`,
      `Set it to ${loss.memoryMiBPerNode} or more, lower shards, or raise nodes`,
    );
  }
  const allMemory =
    nodeCount * numbers.runtimeMemoryMiB + shards.reduce((sum, s) => sum + s.memoryMiB, 0);
  const disk = shards.length * numbers.shardDiskMiB;
  const local = settings.target === "local";
  return {
    target: settings.target,
    preset: preset.name,
    users,
    redis: local ? "none" : preset.redis,
    nodes,
    shards,
    agents: places,
    node,
    loss,
    machine: local
      ? { memoryMiB: allMemory, cores: Math.min(2, node.cores), diskMiB: disk }
      : { ...node, diskMiB: disk },
    turnsPerSecond: shards.length * numbers.turnsPerSecond,
    notes: planNotes(settings, nodes.length, sharedCount, users, numbers),
    numbers: (Object.keys(CAPACITY) as CapacityName[]).map((name) => ({
      name,
      value: numbers[name],
      unit: CAPACITY[name].unit,
      source: settings.sizes?.[name] === undefined ? CAPACITY[name].source : `sizes.${name}`,
    })),
  };
}

/** Ids of the nodes: a to z, then n27 and on. An id never depends on how many there are. */
export function nodeIds(count: number): NodeId[] {
  return Array.from({ length: count }, (_, i) =>
    i < 26 ? String.fromCharCode(97 + i) : `n${i + 1}`,
  );
}

/** Hosts that decide ownership by majority; 0 where something else does. Witnesses vote as well. */
function voters({ target, hosts = [] }: SizingSettings, nodes: number): number {
  const several = target === "hosts" ? Math.max(nodes, hosts.length) : nodes;
  return (target === "hosts" || target === "ec2") && several > 1 ? etcdVoters(several) : 0;
}

function withDefaultAgent<T extends AgentToPlace>(agents: readonly T[]): (T | AgentToPlace)[] {
  return agents.some((a) => a.name === DEFAULT_AGENT)
    ? [...agents]
    : [{ name: DEFAULT_AGENT }, ...agents];
}

function count(s: SizingSettings, numbers: CapacityNumbers, faults: Fault[]) {
  const bare = s.preset === undefined && s.users === undefined && s.target === "local";
  const preset = choosePreset(s);
  const { name } = preset;
  if (s.users !== undefined && preset.users.max !== null && s.users > preset.users.max) {
    const next = PRESETS.find((p) => admitsUsers(p, s.users as number));
    faults.push({
      setting: "users",
      problem: `is ${s.users}, and preset ${name} serves up to ${preset.users.max}`,
      remedy: `Set preset to ${next?.name}, or lower users`,
    });
  }
  if (s.nodes !== undefined && !admitsNodes(preset, s.nodes)) {
    const { min, max } = preset.nodes;
    const range = max === null ? `${min} or more` : min === max ? `${min}` : `${min} to ${max}`;
    const other = PRESETS.find(
      (p) =>
        admitsNodes(p, s.nodes as number) && (s.users === undefined || admitsUsers(p, s.users)),
    );
    const listed = namedNodes(s) !== null;
    faults.push({
      setting: listed ? "hosts" : "nodes",
      problem: `${listed ? `lists ${s.nodes} that run shards` : `is ${s.nodes}`}, and preset ${name} has ${range}`,
      remedy: `${listed ? `List ${range}` : `Set nodes to ${range}`}${other ? `, or set preset to ${other.name}` : ""}`,
    });
  }
  // On this machine a preset sets the shape; its whole range of users is for machines of their own.
  const users = s.users ?? (s.target === "local" ? null : preset.users.default);
  const byUsers = users === null ? 1 : Math.max(1, Math.ceil(users / numbers.usersPerShard));
  const load = s.shards ?? byUsers;
  const nodeCount = s.nodes ?? (bare ? LOCAL_DEFAULT.nodes : chooseNodes(preset, load, numbers));
  const floor = preset.shardPerNode ? nodeCount : 1;
  const bareShards = bare && s.nodes === undefined ? LOCAL_DEFAULT.shards : floor;
  const sharedCount = s.shards ?? Math.max(byUsers, bareShards);
  return {
    preset,
    nodeCount,
    sharedCount,
    users: s.shards === undefined ? users : (s.users ?? null),
  };
}

function admitsUsers(preset: Preset, users: number): boolean {
  return preset.users.max === null || users <= preset.users.max;
}

function admitsNodes(preset: Preset, nodes: number): boolean {
  return nodes >= preset.nodes.min && (preset.nodes.max === null || nodes <= preset.nodes.max);
}

/** The preset as set; else the smallest row that admits the users and nodes that were set. */
function choosePreset(s: SizingSettings): Preset {
  const named = PRESETS.find((p) => p.name === s.preset);
  if (named) return named;
  const fallback = PRESETS.find((p) => p.name === LOCAL_DEFAULT.preset) as Preset;
  const { users, nodes } = s;
  if (users === undefined && nodes === undefined) return fallback;
  const admitting = PRESETS.filter((p) => users === undefined || admitsUsers(p, users));
  const first = nodes === undefined ? undefined : admitting.find((p) => admitsNodes(p, nodes));
  return first ?? admitting[0] ?? fallback;
}

/** Grows in nodes within the preset's range before nodes grow in size, one node kept in hand. */
function chooseNodes(preset: Preset, shards: number, numbers: CapacityNumbers): number {
  const { min, max } = preset.nodes;
  const busy = Math.ceil((shards * numbers.coresPerShard) / preset.nodeCores);
  return Math.max(min, preset.nodes.default, Math.min(busy + 1, max ?? Number.POSITIVE_INFINITY));
}

function planNotes(
  s: SizingSettings,
  nodes: number,
  shards: number,
  users: number | null,
  numbers: CapacityNumbers,
): string[] {
  const notes: string[] = [];
  if (s.target === "local") {
    notes.push("local: all nodes are on this machine, whose loss stops the service");
  } else if (nodes === 2 && !(s.hosts ?? []).some(({ witness }) => witness)) {
    notes.push(
      "two nodes have no majority: name a third host as witness, or the loss of one stops the service",
    );
  }
  if (users !== null && users > shards * numbers.usersPerShard) {
    notes.push(
      `shards is ${shards} for ${users} users: ${Math.ceil(users / shards)} users a shard, planned are ${numbers.usersPerShard}`,
    );
  }
  if (shards < nodes)
    notes.push(`${shards} shared shards on ${nodes} nodes: some nodes only stand by`);
  return notes;
}
