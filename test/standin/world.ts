import type { Props } from "../../plugin/values.ts";
import type { StandInMachine } from "./machines.ts";

/** Where a resource lives: one AWS account and region, or one Kubernetes cluster. */
export interface Scope {
  readonly account: string;
  readonly region: string;
  /** ARN of the cluster a Kubernetes object is in. */
  readonly cluster?: string;
  /** ARN of who asks; an access entry must name it. */
  readonly caller: string;
}

/** A resource that exists. */
export interface Row {
  readonly key: string;
  readonly type: string;
  readonly urn: string;
  readonly id: string;
  readonly scope: Scope;
  readonly inputs: Props;
  /** What AWS tells of it: inputs and computed. */
  readonly state: Props;
  /** Answered as made, but not there: how a test takes one resource away. */
  readonly ghost?: boolean;
  /** How many of this URN were before it: makes ids of a replacement new. */
  readonly incarnation: number;
  /** Grows by one with each thing made or changed. */
  readonly turn: number;
}

/** What stays in the account after its owner is gone. */
export interface Residue {
  readonly kind: string;
  readonly name: string;
  /** Nobody can avoid it, e.g. a KMS key that AWS deletes seven days later. */
  readonly unavoidable?: boolean;
}

/** One thing that was asked for, in order. */
export interface Entry {
  readonly turn: number;
  readonly op: string;
  readonly type: string;
  readonly urn: string;
  readonly outcome: string;
}

/** What a test says of the account beforehand. */
export interface AccountSettings {
  /** Service quotas by `<service> <code>`. */
  readonly quotas?: Readonly<Record<string, number>>;
  /** Roles of AWS's own services, as `[service, name]`; those of an account in use when left out. */
  readonly serviceRoles?: readonly (readonly [string, string])[];
  /** Hosts that stand for machines, by node; without them addresses are made up. */
  readonly machines?: Readonly<Record<string, StandInMachine>>;
  /** Name or address of a load balancer that is there; made up when left out. */
  readonly balancer?: string;
}

/** All that exists. Reading is free; changes are collected, so that a store can write them down. */
export class World {
  readonly rows = new Map<string, Row>();
  readonly residue = new Map<string, Residue>();
  readonly log: Entry[] = [];
  /** Keys of rows changed since the last `settle`. */
  readonly touched = new Set<string>();
  /** Calls by kind, for failures at the n-th. */
  readonly counts: Record<string, number> = {};
  settings: AccountSettings = {};
  #types: Map<string, Row[]> | null = null;

  put(row: Row): void {
    this.rows.set(row.key, row);
    this.touched.add(row.key);
    this.#types = null;
  }

  remove(key: string): void {
    this.rows.delete(key);
    this.touched.add(key);
    this.#types = null;
  }

  leave(residue: Residue): void {
    this.residue.set(`${residue.kind} ${residue.name}`, residue);
  }

  settle(residue: Residue): void {
    this.residue.delete(`${residue.kind} ${residue.name}`);
  }

  note(entry: Omit<Entry, "turn">): number {
    const turn = this.log.length + 1;
    this.log.push({ ...entry, turn });
    return turn;
  }

  /** Everything of some types that is really there. */
  of(...types: readonly string[]): readonly Row[] {
    this.#types ??= groupBy([...this.rows.values()].filter((row) => !row.ghost));
    if (types.length === 1) return this.#types.get(types[0] as string) ?? [];
    return types.flatMap((type) => this.#types?.get(type) ?? []);
  }

  /** The first of some types whose property has a value; `id` is a property like any other. */
  find(types: string | readonly string[], property: string, value: unknown): Row | undefined {
    const all = this.of(...(typeof types === "string" ? [types] : types));
    return all.find((row) => field(row, property) === value);
  }

  /** The same without some rows, to see who would miss them. */
  without(keys: ReadonlySet<string>): World {
    const rest = new World();
    for (const row of this.rows.values()) if (!keys.has(row.key)) rest.rows.set(row.key, row);
    return rest;
  }
}

/** A row's property; `id` is its identity. */
export function field(row: Row, property: string): unknown {
  return property === "id" ? row.id : row.state[property];
}

/** Values at a path such as `vpcConfig.subnetIds[]`; nothing where a part is missing. */
export function valuesAt(value: unknown, path: string): unknown[] {
  let found: unknown[] = [value];
  for (const step of path.split(".")) {
    const name = step.replace(/\[\]$/, "");
    found = found.flatMap((item) => {
      if (item === null || typeof item !== "object") return [];
      const next = name === "*" ? Object.values(item) : (item as Props)[name];
      const list = step.endsWith("[]") || name === "*";
      return list ? (Array.isArray(next) ? next : []) : [next];
    });
  }
  return found.filter((item) => item !== undefined && item !== null);
}

/** The single text at a path, or undefined. */
export function textAt(value: unknown, path: string): string | undefined {
  const [first] = valuesAt(value, path);
  return typeof first === "string" ? first : undefined;
}

function groupBy(rows: readonly Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.type);
    if (group) group.push(row);
    else groups.set(row.type, [row]);
  }
  return groups;
}
