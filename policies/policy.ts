import type { ReportViolation, ResourceValidationArgs, StackValidationArgs } from "@pulumi/policy";
import type { Facts } from "./facts.ts";

/**
 * `advisory` is shown. `blocking` stops the change; a stack may lower it, or except a resource.
 * `mandatory` stops the change, and nothing can be done about it but to mend what was found.
 */
export type Severity = "advisory" | "blocking" | "mandatory";

export const GROUPS = [
  "exposure",
  "encryption",
  "identity",
  "availability",
  "one-writer",
  "workloads",
  "money",
  "hygiene",
] as const;
export type Group = (typeof GROUPS)[number];

/** One rule that a stack holds to. */
export interface Policy {
  /** `<group>-<what>`; exceptions, severities and reports name it so. */
  readonly id: string;
  /** What must hold, one sentence. */
  readonly sentence: string;
  /** Unless the stack says otherwise. */
  readonly severity: Severity;
  /** The setting that decides it, as a person writes it; empty where none does. */
  readonly setting: string;
  /** What to do about a finding. */
  readonly fix: string;
  /** What it makes of a value that the preview does not know. */
  readonly unknown: string;
  /** Judges one resource before it is made or changed, and reports what was found. */
  readonly validateResource?: (args: ResourceValidationArgs, report: ReportViolation) => void;
  /** Judges how resources stand to each other, once all are known by name. */
  readonly validateStack?: (args: StackValidationArgs, report: ReportViolation) => void;
  /** Mends a resource where that is safe: its inputs as they should be, or nothing. */
  readonly remediateResource?: (
    args: ResourceValidationArgs,
  ) => Record<string, unknown> | undefined;
}

export const groupOf = (id: string): Group | undefined =>
  GROUPS.find((group) => id.startsWith(`${group}-`));

/** What the stack says of itself. */
export const factsOf = (args: Pick<ResourceValidationArgs, "getConfig">): Facts =>
  args.getConfig<Facts>();

/** A finding in full, as Pulumi shows it below the policy's sentence. */
export function explain(policy: Pick<Policy, "setting" | "fix">, found: string): string {
  const setting = policy.setting ? ` Setting: ${policy.setting}.` : "";
  return `Found: ${found}.${setting} Do: ${policy.fix}.`;
}
