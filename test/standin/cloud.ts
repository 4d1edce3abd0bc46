import { createHash } from "node:crypto";
import { differences, hasUnknown, type Props } from "../../plugin/values.ts";
import { importedBy } from "./imports.ts";
import { checkInputs, previewState, stateOf } from "./inputs.ts";
import { ruleOf } from "./rules/index.ts";
import { LOOKUPS } from "./rules/lookups.ts";
import { GLOBAL } from "./rules/parts.ts";
import { type Made, type Need, Refusal, type Rule, type When } from "./rules/types.ts";
import { type Row, type Scope, textAt, type World } from "./world.ts";

/** One request for a resource. */
export interface Asked {
  readonly type: string;
  readonly urn: string;
  readonly scope: Scope;
}

const ALWAYS: readonly When[] = ["create", "update", "alive"];

/** The stand-in's mind: obeys and refuses by the rules, and keeps what exists in a world. */
export class Cloud {
  readonly world: World;
  /** URNs, or ends of them, of resources that are answered as made and are not there. */
  readonly #ghosts: readonly string[];

  constructor(world: World, ghosts: readonly string[] = []) {
    this.world = world;
    this.#ghosts = ghosts;
  }

  check(asked: Asked, olds: Props | undefined, news: Props, seed: string) {
    return checkInputs(asked, ruleOf(asked.type), olds, news, seed);
  }

  diff(type: string, old: Props, next: Props) {
    const { replaces, name, unminded = [] } = ruleOf(type);
    const changes = differences(old, next).filter(
      ({ path }) => !path.startsWith("__") && !unminded.some((rule) => covers(rule, path)),
    );
    const forced = changes.filter(({ path }) => replaces.some((rule) => covers(rule, path)));
    // Two of the same name cannot be side by side; a made-up name is another for what replaces it.
    const named = name ? name.property : "metadata.name";
    const before = textAt(old, named);
    const given = before !== undefined && next.__made !== named;
    const sameName = given && before === textAt(next, named);
    return {
      changes,
      replaces: forced.map(({ path }) => path),
      deleteBeforeReplace: forced.length > 0 && sameName,
    };
  }

  preview({ type, urn, scope }: Asked, inputs: Props, old?: Props): Props {
    return previewState(type, ruleOf(type), this.#made(type, urn, inputs, scope, 0), old);
  }

  create(asked: Asked, inputs: Props): { id: string; state: Props } {
    const { type, urn, scope } = asked;
    const rule = ruleOf(type);
    const incarnation = this.world.counts[`urn ${urn}`] ?? 0;
    const made = this.#made(type, urn, inputs, scope, incarnation);
    if (hasUnknown(inputs)) throw new Refusal("an input is still unknown");
    const ghost = this.#ghosts.some((end) => urn.endsWith(end));
    const id = rule.id(made);
    const state = stateOf(type, rule, made, id);
    const key = keyOf(asked, id);
    const turn = this.world.log.length + 1;
    const row: Row = { key, type, urn, id, scope, inputs, state, incarnation, turn };
    if (!ghost) {
      this.#unique(rule, row);
      this.#demand(rule, row, "create");
      if (this.world.rows.has(key)) throw new Refusal(`${id} already exists`);
    }
    this.world.counts[`urn ${urn}`] = incarnation + 1;
    this.world.put(ghost ? { ...row, ghost } : row);
    if (!ghost)
      for (const left of rule.leaves?.(row, this.world, "create") ?? []) this.world.leave(left);
    return { id, state };
  }

  read(asked: Asked, id: string): { id: string; state: Props; inputs: Props } | null {
    const row = this.world.rows.get(keyOf(asked, id)) ?? importedBy(this.world, asked, id);
    return row ? { id: row.id, state: row.state, inputs: row.inputs } : null;
  }

  update(asked: Asked, id: string, news: Props): Props {
    const { type, urn, scope } = asked;
    const rule = ruleOf(type);
    const row = this.world.rows.get(keyOf(asked, id));
    if (!row) throw new Refusal(`there is no ${type} ${id}`);
    for (const property of rule.grows ?? []) {
      const [from, to] = [Number(row.inputs[property]), Number(news[property])];
      if (to < from) throw new Refusal(`${property} cannot shrink from ${from} to ${to}`);
    }
    const refused = rule.update?.(row.inputs, news);
    if (refused) throw new Refusal(refused);
    const made = this.#made(type, urn, news, scope, row.incarnation);
    const state = { ...stateOf(type, rule, made, id) };
    const next: Row = { ...row, urn, inputs: news, state, turn: this.world.log.length + 1 };
    if (!row.ghost) {
      this.#unique(rule, next);
      this.#demand(rule, next, "update");
    }
    this.world.put(next);
    return state;
  }

  delete(asked: Asked, id: string): void {
    const { type } = asked;
    const rule = ruleOf(type);
    const row = this.world.rows.get(keyOf(asked, id));
    if (!row) return;
    if (!row.ghost) {
      if (rule.guard !== undefined && row.inputs[rule.guard] === true) {
        throw new Refusal(`it is protected: ${rule.guard} is true`);
      }
      this.#demand(rule, row, "delete");
      const refused = rule.refusesDelete?.(row, this.world);
      if (refused) throw new Refusal(refused);
      const along = rule.takesAlong?.(row, this.world) ?? [];
      this.#missed(row, along);
      for (const other of [row, ...along]) {
        const left =
          ruleOf(other.type).leaves?.(other, this.world, other === row ? "delete" : "along") ?? [];
        for (const residue of left) this.world.leave(residue);
        this.world.remove(other.key);
      }
      for (const over of rule.settles?.(row, this.world) ?? []) this.world.settle(over);
    }
    this.world.remove(row.key);
  }

  invoke(token: string, args: Props, scope: Scope): Props {
    const lookup = LOOKUPS[token];
    if (!lookup) {
      throw new Refusal(`the stand-in has no answer for ${token}: add it to rules/lookups.ts`);
    }
    return lookup(args, this.world, scope);
  }

  /** Everything that lacks something once a deployment is done. */
  unmet(): { row: Row; fault: string }[] {
    return [...this.world.rows.values()]
      .filter((row) => !row.ghost)
      .flatMap((row) => {
        const rule = ruleOf(row.type);
        const fault =
          firstFault(rule, row, "alive", this.world) ??
          firstFault(rule, row, "settled", this.world);
        return fault ? [{ row, fault }] : [];
      });
  }

  #made(type: string, urn: string, inputs: Props, scope: Scope, incarnation: number): Made {
    const digest = (part: string) =>
      createHash("sha256").update(`${scope.account} ${urn} ${incarnation} ${part}`).digest("hex");
    return {
      type,
      urn,
      inputs,
      scope,
      hex: (length) => digest("hex").slice(0, length),
      number: (bound) => Number.parseInt(digest("number").slice(0, 8), 16) % bound,
      world: this.world,
    };
  }

  #unique(rule: Rule, row: Row): void {
    const sets = [...(rule.unique ?? []), ...(rule.name ? [[rule.name.property]] : [])];
    for (const set of sets) {
      if (set.some((property) => row.inputs[property] === undefined)) continue;
      const twin = this.world.of(row.type).find((other) => {
        const same = set.every(
          (property) =>
            JSON.stringify(other.inputs[property]) === JSON.stringify(row.inputs[property]),
        );
        return same && other.key !== row.key && samePlace(row, other);
      });
      if (twin) {
        const what = set.map((property) => `${property} ${JSON.stringify(row.inputs[property])}`);
        throw new Refusal(`AlreadyExists: ${what.join(", ")} is that of ${nameOf(twin.urn)}`);
      }
    }
  }

  #demand(rule: Rule, row: Row, when: When): void {
    const fault = firstFault(rule, row, when, this.world);
    if (fault) throw new Refusal(fault);
  }

  /** Nobody who stays may lose what it needs. */
  #missed(row: Row, along: readonly Row[]): void {
    const going = new Set([row.key, ...along.map((other) => other.key)]);
    const rest = this.world.without(going);
    for (const other of rest.rows.values()) {
      if (other.ghost) continue;
      const rule = ruleOf(other.type);
      const fault = firstFault(rule, other, "alive", rest);
      if (fault && !firstFault(rule, other, "alive", this.world)) {
        throw new Refusal(`DependencyViolation: ${nameOf(other.urn)} still needs it (${fault})`);
      }
    }
  }
}

function firstFault(rule: Rule, row: Row, when: When, world: World): string | null {
  for (const need of rule.needs ?? []) {
    if (!due(need, when)) continue;
    const fault = need.fault(row, world);
    if (fault) return fault;
  }
  return null;
}

function due(need: Need, when: When): boolean {
  return (need.when ?? ALWAYS).includes(when);
}

function samePlace(a: Row, b: Row): boolean {
  if (a.scope.cluster !== b.scope.cluster) return false;
  if (a.scope.account !== b.scope.account) return false;
  return GLOBAL.test(a.type) || a.scope.region === b.scope.region;
}

/** Types whose ids say nothing: passwords are all called `none`. */
const NAMELESS = /^random:/;

/** Identity of a resource in the world. */
export function keyOf({ type, urn, scope }: Asked, id: string): string {
  const place =
    scope.cluster ?? (GLOBAL.test(type) ? scope.account : `${scope.account}/${scope.region}`);
  return NAMELESS.test(type) ? `${place}|${type}|${urn}` : `${place}|${type}|${id}`;
}

/** Last part of a URN: what a person called it. */
export function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? urn;
}

/** A path of a rule covers what is below it; indexes do not count. */
function covers(rule: string, path: string): boolean {
  const bare = path.replace(/\[\d+\]/g, "").replace(/\["([^"]*)"\]/g, ".$1");
  return bare === rule || bare.startsWith(`${rule}.`);
}
