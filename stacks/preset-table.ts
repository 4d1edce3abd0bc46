export type RedisMode = "none" | "single" | "sentinel" | "cluster";
export type PresetName = "solo" | "small" | "medium" | "enterprise";
export type Target = "local" | "hosts" | "ec2" | "eks";

/** One row of the preset table. Code reads its fields and never branches on its name. */
export interface Preset {
  readonly name: PresetName;
  /** Concurrent users of the row, inclusive; `max` null: no upper end. */
  readonly users: { readonly min: number; readonly max: number | null; readonly default: number };
  readonly nodes: { readonly min: number; readonly max: number | null; readonly default: number };
  readonly redis: RedisMode;
  /** The table's size of a node; the plan takes the larger of this and what measurement demands. */
  readonly nodeCores: number;
  readonly nodeMemoryMiB: number;
  /** At least as many shared shards as nodes. */
  readonly shardPerNode: boolean;
}

/** Small to large. Users not given: the upper end of the row; `enterprise` has none, so twice its start. */
export const PRESETS: readonly Preset[] = [
  {
    name: "solo",
    users: { min: 0, max: 49, default: 49 },
    nodes: { min: 1, max: 1, default: 1 },
    redis: "none",
    nodeCores: 1,
    nodeMemoryMiB: 1024,
    shardPerNode: false,
  },
  {
    name: "small",
    users: { min: 50, max: 200, default: 200 },
    nodes: { min: 2, max: 3, default: 3 },
    redis: "single",
    nodeCores: 2,
    nodeMemoryMiB: 2048,
    shardPerNode: true,
  },
  {
    name: "medium",
    users: { min: 200, max: 1000, default: 1000 },
    nodes: { min: 3, max: 5, default: 3 },
    redis: "sentinel",
    nodeCores: 4,
    nodeMemoryMiB: 4096,
    shardPerNode: true,
  },
  {
    name: "enterprise",
    users: { min: 1001, max: null, default: 2000 },
    nodes: { min: 5, max: null, default: 5 },
    redis: "cluster",
    nodeCores: 8,
    nodeMemoryMiB: 8192,
    shardPerNode: true,
  },
];

/** Nodes and shards of a `local` fleet for which nothing was set: the least that survives a loss. */
export const LOCAL_DEFAULT = { preset: "small" as PresetName, nodes: 2, shards: 2 } as const;
