import { GATEWAY_PORT_SPAN } from "../gateway/contract.ts";

/** One number behind a plan. */
export interface Capacity {
  readonly value: number;
  readonly unit: string;
  readonly meaning: string;
  /** Where the number comes from. */
  readonly source: string;
}

const MEASURED = "measured, docs/capacity.md";
const TABLE = "the preset table's first row: one instance serves up to 50";

/**
 * Every number of the sizing that is not a preset's own. Each can be overridden by `sizes.<name>`.
 */
export const CAPACITY = {
  usersPerShard: {
    value: 50,
    unit: "users",
    meaning: "Concurrent users one shared shard serves",
    source: TABLE,
  },
  shardMemoryMiB: {
    value: 1331,
    unit: "MiB",
    meaning: "Memory of one shard with its helper processes and one active agent",
    source: `${MEASURED}: 1.21 GB after a turn, with helpers 1.3 GiB`,
  },
  agentMemoryMiB: {
    value: 70,
    unit: "MiB",
    meaning: "Memory of each further agent of a shard that is active at once",
    source: `${MEASURED}: 50 to 75 MB an active agent`,
  },
  recycleMiB: {
    value: 2560,
    unit: "MiB",
    meaning: "Memory above which a shard is drained and started again",
    source: `${MEASURED}: 2.4 GB after 2,250 turns, then flattening`,
  },
  runtimeMemoryMiB: {
    value: 256,
    unit: "MiB",
    meaning: "Memory of a node's own processes: router, supervisor, keeper",
    source: MEASURED,
  },
  coresPerShard: {
    value: 1,
    unit: "cores",
    meaning: "Cores one busy shard can use",
    source: `${MEASURED}: a gateway is bound by one core`,
  },
  turnsPerSecond: {
    value: 5,
    unit: "turns/s",
    meaning: "Turns one shard answers in a second",
    source: `${MEASURED}: 5 to 7 turns a second`,
  },
  shardDiskMiB: {
    value: 60,
    unit: "MiB",
    meaning: "Disk of a new shard's state",
    source: `${MEASURED}: 4 MB without the Control UI, 56 MB with it`,
  },
} as const satisfies Record<string, Capacity>;

export type CapacityName = keyof typeof CAPACITY;
export type CapacityNumbers = Record<CapacityName, number>;

/** Lowest port of a local fleet's gateways. */
export const LOCAL_PORT_BASE = 19_000;
/** Ports from here on are handed out by the kernel (Linux default of ip_local_port_range). */
const EPHEMERAL_PORTS_FROM = 32_768;
/** Gateways that one machine has ports for. */
export const LOCAL_MAX_SHARDS = Math.floor(
  (EPHEMERAL_PORTS_FROM - LOCAL_PORT_BASE) / GATEWAY_PORT_SPAN,
);

/** The numbers with a stack's overrides. */
export function capacityNumbers(overrides: Partial<CapacityNumbers> = {}): CapacityNumbers {
  const numbers = {} as CapacityNumbers;
  for (const name of Object.keys(CAPACITY) as CapacityName[]) {
    numbers[name] = overrides[name] ?? CAPACITY[name].value;
  }
  return numbers;
}
