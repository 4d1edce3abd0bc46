import type { FaultKind } from "./history.ts";
import { HOST_FAULTS } from "./host-fault-names.ts";

export interface FaultFacts {
  kind: FaultKind;
  /** What a person reads in the table. */
  title: string;
  /** How long it lasts before it is healed, ms. Zero: nothing to heal, or healed when it had its effect. */
  holdMs: { least: number; most: number };
  leastNodes: number;
  /**
   * A host is lost to the others, with what its replicas do not have yet: `gone` when its gateways end or stop, `cut`
   * when the fault comes, though they go on. @default none is
   */
  losesHost?: "gone" | "cut";
  /** Most that docs/capacity.md gives the next answer, ms; null where it gives none. */
  mustMs: number | null;
}

const AT_ONCE = { least: 0, most: 0 };

/** Every fault of a fleet of processes by the name that `--fault` takes. */
export const FAULTS = {
  "kill-gateway": {
    kind: "crash",
    title: "a gateway killed",
    holdMs: AT_ONCE,
    leastNodes: 1,
    mustMs: 15_000,
  },
  "kill-mid-turn": {
    kind: "crash",
    title: "a gateway killed in mid-turn",
    holdMs: AT_ONCE,
    leastNodes: 1,
    // The turn itself takes 6 s again after OpenClaw's own recovery, behind others.
    mustMs: null,
  },
  "hang-gateway": {
    kind: "hang",
    title: "a gateway hung (SIGSTOP)",
    holdMs: AT_ONCE,
    leastNodes: 1,
    mustMs: 45_000,
  },
  "kill-node": {
    kind: "crash",
    title: "a node killed",
    holdMs: { least: 15_000, most: 25_000 },
    leastNodes: 2,
    mustMs: 25_000,
  },
  "kill-supervisor": {
    kind: "crash",
    title: "a supervisor alone killed",
    holdMs: AT_ONCE,
    leastNodes: 1,
    mustMs: null,
  },
  "stop-supervisor": {
    kind: "pause",
    title: "a supervisor alone stopped (SIGSTOP)",
    holdMs: { least: 12_000, most: 20_000 },
    leastNodes: 1,
    mustMs: null,
  },
  "pause-node": {
    kind: "pause",
    title: "a whole node paused beyond the lease",
    holdMs: { least: 12_000, most: 25_000 },
    leastNodes: 2,
    mustMs: null,
  },
  "fill-memory": {
    kind: "planned",
    title: "a gateway above its memory limit",
    holdMs: AT_ONCE,
    leastNodes: 1,
    mustMs: null,
  },
  "delete-leases": {
    kind: "store",
    title: "the lease file deleted",
    holdMs: { least: 5_000, most: 10_000 },
    leastNodes: 1,
    mustMs: null,
  },
  "drain-node": {
    kind: "planned",
    title: "a node drained and resumed",
    holdMs: AT_ONCE,
    leastNodes: 2,
    mustMs: null,
  },
  "move-shard": {
    kind: "planned",
    title: "a shard moved",
    holdMs: AT_ONCE,
    leastNodes: 2,
    mustMs: null,
  },
  "kill-everything": {
    kind: "crash",
    title: "everything killed at once",
    holdMs: { least: 1_000, most: 3_000 },
    leastNodes: 1,
    mustMs: null,
  },
} as const satisfies Record<string, FaultFacts>;

type LocalFaultName = keyof typeof FAULTS;
export type FaultName = LocalFaultName | keyof typeof HOST_FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as LocalFaultName[];

/** Faults of a fleet of processes that a fleet of hosts has too. */
const ON_BOTH = [
  "kill-gateway",
  "kill-mid-turn",
  "hang-gateway",
  "stop-supervisor",
] as const satisfies readonly LocalFaultName[];
/** Every fault of a fleet of hosts. */
export const HOST_FAULT_NAMES: readonly FaultName[] = [
  ...ON_BOTH,
  ...(Object.keys(HOST_FAULTS) as (keyof typeof HOST_FAULTS)[]),
];

const ALL: Record<FaultName, FaultFacts> = { ...FAULTS, ...HOST_FAULTS };

export const factsOf = (name: FaultName): FaultFacts => ALL[name];

/** The same by a name that may be any text, such as an older record's. */
export const knownFacts = (name: string): FaultFacts | null =>
  Object.hasOwn(ALL, name) ? ALL[name as FaultName] : null;
