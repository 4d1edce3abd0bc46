import type { ReportViolation, ResourceValidationArgs } from "@pulumi/policy";
import { factsOf } from "./policy.ts";
import { shown, UNKNOWN } from "./read.ts";

type Told = Pick<ResourceValidationArgs, "getConfig">;

/** Reports a value that does not pass. One that is unknown does not pass: it could be anything. */
export function refuseUnless(
  report: ReportViolation,
  what: string,
  value: unknown,
  ok: (value: unknown) => boolean,
): void {
  if (value === UNKNOWN || !ok(value)) report(`${what} is ${shown(value)}`);
}

/** Reports a value that does not pass. One that is unknown is judged by `up`, before it is used. */
export function waitUnless(
  args: Told,
  report: ReportViolation,
  what: string,
  value: unknown,
  ok: (value: unknown) => boolean,
): void {
  if (value === UNKNOWN) factsOf(args).waits(what);
  else if (!ok(value)) report(`${what} is ${shown(value)}`);
}

/** Values that pass. */
export const is =
  (...allowed: readonly unknown[]) =>
  (value: unknown): boolean =>
    allowed.includes(value);
export const yes = is(true, "true");
export const named = (value: unknown): boolean =>
  value === UNKNOWN || (typeof value === "string" && value !== "");
export const atLeast =
  (least: number) =>
  (value: unknown): boolean =>
    typeof value === "number" && value >= least;
