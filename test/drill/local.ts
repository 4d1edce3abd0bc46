import { availableParallelism } from "node:os";
import type { Release } from "../../gateway/config.ts";
import { LOCAL_FAULTS } from "./faults.ts";
import { createFleet, type DrillFleet } from "./fleet.ts";
import { type Driver, FaultImpossible, type World } from "./world.ts";

export interface LocalOptions {
  nodes: number;
  shards: number;
  release: Release;
  /** Parent of the data directory. @default the system's temporary directory */
  under?: string;
}

/** After a fault was healed, a fleet of processes must be whole again within this time, ms. */
export const LOCAL_WHOLE_MS = 180_000;

const names = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);

/** A fleet of processes as what a drill breaks. */
export const localWorld = (fleet: DrillFleet): World => ({
  ...fleet,
  start: async () => {
    await Promise.all(fleet.nodes.map((node) => fleet.startNode(node)));
  },
  apply: async (context, planned, status) => {
    const fault = LOCAL_FAULTS[planned.name];
    if (!fault) throw new FaultImpossible(`a fleet of processes has no ${planned.name}`);
    return await fault({ ...context, world: fleet }, planned, status);
  },
  remove: (keep) => {
    if (!keep) fleet.remove();
  },
});

/** Nodes as processes of this machine. */
export function localDriver(options: LocalOptions): Driver {
  return {
    nodes: names("n", options.nodes),
    shards: names("s", options.shards),
    command: "./fleet drill",
    wholeMs: LOCAL_WHOLE_MS,
    address: async () => "127.0.0.1",
    places: { hostOf: () => null, frozen: () => false },
    create: async ({ modelUrl, agent }) => {
      const cores = availableParallelism();
      return localWorld(await createFleet({ ...options, modelUrl, agent, cores }));
    },
    close: async () => {},
  };
}
