/** A wish that did not come true: what, why, what to do. Exit code 1. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  readonly why: string | undefined;
  readonly advice: string | undefined;
  constructor(what: string, why?: string, advice?: string) {
    super(what);
    this.why = why;
    this.advice = advice;
  }
}

/** There is no fleet, since nothing was brought up: no fault, where somebody only looks. */
export class NotUpYet extends CommandFailed {}

/** Wrong usage, or a question that nobody is there to answer. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
