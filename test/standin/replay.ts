import type { Props } from "../../plugin/values.ts";
import { Cloud, nameOf } from "./cloud.ts";
import { scopeOf } from "./provider.ts";
import { ACCOUNT_ID, CALLER } from "./settings.ts";
import { type AccountSettings, type Row, type Scope, World } from "./world.ts";

/** A resource of an exported state (`pulumi stack export --show-secrets`). */
export interface Deployed {
  readonly urn: string;
  readonly type: string;
  readonly custom?: boolean;
  readonly id?: string;
  readonly inputs?: Record<string, unknown>;
  readonly parent?: string;
  readonly provider?: string;
  readonly dependencies?: readonly string[];
  readonly propertyDependencies?: Readonly<Record<string, readonly string[]>>;
  readonly deletedWith?: string;
}

/** One resource as the engine would make it, and what it waits for. */
export interface Step {
  readonly urn: string;
  readonly type: string;
  readonly inputs: Props;
  readonly id: string;
  readonly scope: Scope;
  /** URNs that come before it. */
  readonly after: ReadonlySet<string>;
  /** Not deleted by itself: it goes with another. */
  readonly deletedWith?: string;
}

export interface Failure {
  readonly urn: string;
  readonly op: "create" | "delete";
  readonly message: string;
}

/** What a test starts from. */
export interface Beginning {
  readonly settings?: AccountSettings;
  /** What was in the account before. */
  readonly rows?: readonly Row[];
}

/**
 * A deployment taken from a state that the real engine made, to be made and taken down again in any
 * order that its dependencies allow, without the engine: hundreds of orders a minute.
 */
export class Replay {
  readonly steps: ReadonlyMap<string, Step>;
  readonly #beginning: Beginning;

  constructor(resources: readonly Deployed[], beginning: Beginning = {}) {
    this.#beginning = beginning;
    this.steps = stepsOf(resources);
  }

  /** A world as it was before. */
  empty(): World {
    const world = new World();
    world.settings = this.#beginning.settings ?? {};
    for (const row of this.#beginning.rows ?? []) world.put(row);
    return world;
  }

  /** Makes everything; `choose` picks the next of what may be made now. Null: all went well. */
  up(
    world: World,
    choose: Choose,
    options: { ghosts?: readonly string[]; without?: Dropped; only?: ReadonlySet<string> } = {},
  ): Failure | null {
    const cloud = new Cloud(world, options.ghosts ?? []);
    const after = this.#after(options.without);
    const todo = new Set(options.only ?? this.steps.keys());
    while (todo.size > 0) {
      const ready = [...todo].filter((urn) =>
        [...(after.get(urn) ?? [])].every((one) => !todo.has(one)),
      );
      const urn = choose(ready);
      if (urn === null) return null;
      if (urn === undefined) throw new Error(`a circle: ${[...todo].map(nameOf).join(", ")}`);
      todo.delete(urn);
      const step = this.steps.get(urn) as Step;
      try {
        const { id } = cloud.create(step, step.inputs);
        if (id !== step.id)
          return { urn, op: "create", message: `another id: ${id}, not ${step.id}` };
      } catch (error) {
        return { urn, op: "create", message: (error as Error).message };
      }
    }
    return null;
  }

  /** Takes everything down that is there. Null: all went well. */
  down(
    world: World,
    choose: Choose,
    options: { without?: Dropped; only?: ReadonlySet<string> } = {},
  ): Failure | null {
    const cloud = new Cloud(world);
    const before = this.#before(options.without);
    const there = new Set([...world.rows.values()].map(({ urn }) => urn));
    const all = [...this.steps.keys()].filter((urn) => there.has(urn));
    const todo = new Set(options.only ? all.filter((urn) => options.only?.has(urn)) : all);
    while (todo.size > 0) {
      const ready = [...todo].filter((urn) =>
        [...(before.get(urn) ?? [])].every((one) => !todo.has(one)),
      );
      const urn = choose(ready);
      if (urn === null) return null;
      if (urn === undefined) throw new Error(`a circle: ${[...todo].map(nameOf).join(", ")}`);
      todo.delete(urn);
      const step = this.steps.get(urn) as Step;
      // The engine forgets what goes with another without asking its provider.
      if (step.deletedWith && this.steps.has(step.deletedWith)) continue;
      try {
        cloud.delete(step, step.id);
      } catch (error) {
        return { urn, op: "delete", message: (error as Error).message };
      }
    }
    return null;
  }

  /** Everything that a resource waits for, through others too. */
  ancestors(urn: string, without?: Dropped): Set<string> {
    return closure(urn, this.#after(without));
  }

  /** Everything that waits for a resource, through others too. */
  dependents(urn: string, without?: Dropped): Set<string> {
    return closure(urn, this.#before(without));
  }

  #after(without?: Dropped): Map<string, ReadonlySet<string>> {
    return new Map(
      [...this.steps.values()].map(({ urn, after }) => {
        if (without?.from !== urn) return [urn, after];
        return [urn, new Set([...after].filter((one) => !without.to.has(one)))];
      }),
    );
  }

  #before(without?: Dropped): Map<string, ReadonlySet<string>> {
    const before = new Map<string, Set<string>>();
    for (const [urn, after] of this.#after(without)) {
      for (const one of after) before.set(one, (before.get(one) ?? new Set()).add(urn));
    }
    return before;
  }
}

/** One `dependsOn` taken away. */
export interface Dropped {
  readonly from: string;
  readonly to: ReadonlySet<string>;
}

/** Picks the next of what is ready; null to stop here. */
export type Choose = (ready: readonly string[]) => string | undefined | null;

/** Any order, the same for the same seed. */
export function randomly(seed: number): Choose {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return (ready) => {
    // mulberry32: small, and good enough to shuffle.
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ready[((t ^ (t >>> 14)) >>> 0) % Math.max(1, ready.length)];
  };
}

/** Some first, others last, as early and late as what they wait for allows. */
export function urgently(first: ReadonlySet<string>, last: ReadonlySet<string>): Choose {
  return (ready) =>
    ready.find((urn) => first.has(urn)) ?? ready.find((urn) => !last.has(urn)) ?? ready[0];
}

function closure(urn: string, edges: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const found = new Set<string>();
  const todo = [urn];
  for (let one = todo.pop(); one !== undefined; one = todo.pop()) {
    for (const next of edges.get(one) ?? []) {
      if (!found.has(next)) {
        found.add(next);
        todo.push(next);
      }
    }
  }
  return found;
}

function stepsOf(resources: readonly Deployed[]): Map<string, Step> {
  const settings = { accountId: ACCOUNT_ID, caller: CALLER };
  const scopes = new Map(
    resources
      .filter(({ type }) => type.startsWith("pulumi:providers:"))
      .map(({ urn, type, inputs }) => [
        urn,
        scopeOf(type.split(":").at(-1) ?? "", opened(inputs ?? {}) as Props, settings),
      ]),
  );
  const providers = new Map(
    resources
      .filter(({ type }) => type.startsWith("pulumi:providers:"))
      .map((one) => [one.urn, one]),
  );
  const real = resources.filter((one) => one.custom && !one.type.startsWith("pulumi:"));
  const known = new Set(real.map(({ urn }) => urn));
  /** A provider waits for what its configuration comes from. */
  const through = (urn: string): string[] => {
    const provider = providers.get(urn);
    return (provider?.dependencies ?? []).flatMap((one) => (known.has(one) ? [one] : through(one)));
  };
  return new Map(
    real.map((one) => {
      const provider = one.provider?.replace(/::[^:]*$/, "") ?? "";
      const plain = /^(random|openclaw):/.test(one.type);
      const scope = scopes.get(provider) ?? (plain ? scopeOf("random", {}, settings) : undefined);
      if (!scope) throw new Error(`${one.urn} has no provider`);
      const after = [...(one.dependencies ?? []), ...through(provider)].filter((urn) =>
        known.has(urn),
      );
      return [
        one.urn,
        {
          urn: one.urn,
          type: one.type,
          inputs: opened(one.inputs ?? {}) as Props,
          id: one.id ?? "",
          scope,
          after: new Set(after),
          deletedWith: one.deletedWith,
        },
      ];
    }),
  );
}

const SIGNATURE = "4dabf18193072939515e22adb298388d";

/** Secrets of an export opened. */
function opened(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(opened);
  if (value === null || typeof value !== "object") return value;
  const object = value as Props;
  if (object[SIGNATURE] !== undefined) return JSON.parse(String(object.plaintext)) as unknown;
  return Object.fromEntries(Object.entries(object).map(([key, item]) => [key, opened(item)]));
}
