/** A tool could not be had, or the machine lacks something. Says what, why, and what to do. */
export class ToolchainError extends Error {
  readonly why: string;
  readonly fix: string;
  constructor(what: string, why: string, fix: string) {
    super(`${what}\n  why: ${why}\n  do:  ${fix}`);
    this.name = "ToolchainError";
    this.why = why;
    this.fix = fix;
  }
}
