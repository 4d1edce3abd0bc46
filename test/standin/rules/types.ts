import type { Props } from "../../../plugin/values.ts";
import type { Residue, Row, Scope, World } from "../world.ts";

/** What is being made: enough to form ids, ARNs and other things that AWS decides. */
export interface Made {
  readonly type: string;
  readonly urn: string;
  readonly inputs: Props;
  readonly scope: Scope;
  /** `length` hexadecimal digits, the same for the same resource in every run. */
  hex(length: number): string;
  /** A whole number below `bound`, the same in every run. */
  number(bound: number): number;
  readonly world: World;
}

/**
 * `alive`: as long as the resource exists, so nobody may take away what it needs. `settled`: AWS refuses
 * nothing, but once a deployment is done it must hold, or the resource does not do its work.
 */
export type When = "create" | "update" | "delete" | "alive" | "settled";

/** Something else that a resource cannot do without. */
export interface Need {
  /** The rule in words; survivors of mutations and refusals name it. */
  readonly says: string;
  /** @default create, update, alive */
  readonly when?: readonly When[];
  /** What is wrong, as AWS would say it; null when it is as needed. */
  fault(row: Row, world: World): string | null;
}

/** One type as AWS, Kubernetes or a chart treats it. Rows of this are data: a type without one is refused. */
export interface Rule {
  /**
   * Where its force-new list and checks are from: the file below `internal/service` of the Terraform
   * provider for AWS, with `@<commit>` where that very text was read (the 21st of November 2026); without,
   * from the provider's and AWS's documentation.
   */
  readonly source: string;
  /** How AWS forms its id. */
  readonly id: (made: Made) => string;
  /** Inputs whose change needs a new one; a path covers what is below it. */
  readonly replaces: readonly string[];
  /** Inputs whose change alone is no change of it; a path covers what is below it. */
  readonly unminded?: readonly string[];
  /** Its physical name. Left out by a program, Pulumi makes one of the logical name and random digits. */
  readonly name?: {
    readonly property: string;
    readonly max: number;
    readonly lower?: boolean;
    readonly pattern?: RegExp;
    /** No name is made up when none is given. */
    readonly required?: boolean;
  };
  /** Allowed values by path: a list, a pattern, or bounds. */
  readonly values?: Readonly<
    Record<string, readonly unknown[] | RegExp | readonly [min: number, max: number]>
  >;
  /** Sets of inputs that no two share in an account and region. */
  readonly unique?: readonly (readonly string[])[];
  /** Numbers that may only rise. */
  readonly grows?: readonly string[];
  /** An input that, while true, makes AWS refuse to delete it. */
  readonly guard?: string;
  /** Outputs AWS decides; what neither this nor the inputs say is filled in by type. */
  readonly computed?: (made: Made, id: string) => Props;
  /** What is wrong with inputs by themselves. At preview some hold UNKNOWN: given, but of no known form. */
  readonly faults?: (inputs: Props) => readonly (string | null | false | undefined)[];
  readonly needs?: readonly Need[];
  /** What AWS refuses to change in place, with its words. */
  readonly update?: (old: Props, next: Props) => string | null;
  /** What AWS refuses when it is to go. */
  readonly refusesDelete?: (row: Row, world: World) => string | null;
  /** What AWS makes beside it, or keeps of it, when it comes, goes, or goes along with another. */
  readonly leaves?: (
    row: Row,
    world: World,
    when: "create" | "delete" | "along",
  ) => readonly Residue[];
  /** Residue that is no more once it is deleted: what it waited for came to an end. */
  readonly settles?: (row: Row, world: World) => readonly Residue[];
  /** What goes with it by itself. */
  readonly takesAlong?: (row: Row, world: World) => readonly Row[];
}

export type Rules = Readonly<Record<string, Rule>>;

/** A lookup: answers, or throws a Refusal. */
export type Lookup = (args: Props, world: World, scope: Scope) => Props;

/** AWS said no. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}
