import type { Change, Props } from "./values.ts";

/** One property that cannot be. */
export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}

export interface Diff {
  readonly changes: readonly Change[];
  /** Paths among `changes` that need a new resource. */
  readonly replaces: readonly string[];
  /** Changes that are seen in outputs, not in inputs (a dead node). */
  readonly outputOnly?: readonly string[];
}

export interface Operation {
  /** Fires when the deployment is interrupted. */
  readonly signal: AbortSignal;
  /** One line for the person who waits; shown beside the resource. */
  say(message: string): void;
  /** True while the program takes part: a change of the fleet, not its end by `destroy`. */
  readonly programRuns: boolean;
}

/**
 * One kind of resource. Values come and go with their secret marks (see values.ts); `olds` are what
 * the state holds.
 */
export interface Handler {
  check(olds: Props | undefined, news: Props): { inputs: Props; failures: CheckFailure[] };
  diff(state: Props, oldInputs: Props, news: Props): Diff;
  create(
    inputs: Props,
    operation: Operation & { preview: boolean },
  ): Promise<{ id: string; state: Props }>;
  /** Null: it is gone. `inputs` is missing on import. */
  read(
    id: string,
    state: Props | undefined,
    inputs: Props | undefined,
  ): Promise<{ state: Props; inputs: Props } | null>;
  update(
    id: string,
    state: Props,
    news: Props,
    operation: Operation & { preview: boolean },
  ): Promise<Props>;
  delete(id: string, state: Props, operation: Operation): Promise<void>;
}

/** It was made, but does not do what it should yet; it is kept in the state so that it is not lost. */
export class PartlyDone extends Error {
  override readonly name = "PartlyDone";
  readonly id: string;
  readonly state: Props;
  constructor(id: string, state: Props, message: string) {
    super(message);
    this.id = id;
    this.state = state;
  }
}

/** The deployment was interrupted. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  constructor(what: string) {
    super(`interrupted while ${what}; run the command again to go on`);
  }
}
