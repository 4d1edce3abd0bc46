import { existsSync, readFileSync } from "node:fs";
import type { POLICIES } from "../../../policies/all.ts";
import { planStack, type StackPlan } from "../../../stacks/plan.ts";
import { withPolicies } from "../../policies.ts";
import { type PulumiRunner, settingsFile, stackExists, throwawayStack } from "../../pulumi.ts";
import { ensureStackProviders } from "../plugins.ts";
import { errorLines, policedPreview } from "../policed-preview.ts";
import { reportOf } from "../policy-report.ts";
import { settingsOf } from "../stack-settings.ts";
import { say } from "../terminal.ts";
import { type Base, differs, fileAt } from "./base.ts";
import { costChange } from "./cost-change.ts";
import type { StackChange } from "./preview-markdown.ts";
import { readPreview } from "./steps.ts";

export interface ChangeOptions {
  readonly base: Base | null;
  readonly policies: typeof POLICIES;
  /** Further options of `pulumi preview`. */
  readonly args: readonly string[];
  /** Variables that stand in for secrets. */
  readonly placeholders: readonly string[];
}

/** Previews a stack under the policies, and compares its plan with the base's. Changes nothing. */
export async function stackChange(
  runner: PulumiRunner,
  stack: string,
  { base, policies, args, placeholders }: ChangeOptions,
): Promise<StackChange> {
  const none = { stack, failed: false, cost: null, policies: null, placeholders: [] };
  if (base !== null && !differs(base, stack)) {
    say(`fleet: nothing that decides ${stack} differs from ${base.ref}`);
    return { ...none, preview: null, exists: true };
  }
  await ensureStackProviders(runner, stack);
  const exists = stackExists(runner, stack);
  const tried = exists ? null : throwawayStack(runner, stack);
  try {
    const all = [...(tried?.args ?? []), ...args];
    say(`fleet: previewing ${stack} under the policies`);
    const policed = await withPolicies(tried?.runner ?? runner, all);
    const run = await policedPreview(policed, stack, ["--json", ...all]);
    const preview = previewOf(run.stdout);
    const failed = run.code !== 0;
    const words = preview.errors.length > 0 || !failed ? preview.errors : [errorLines(run)];
    const used = placeholders.filter((name) => textOf(stack)?.includes(`env:${name}`));
    return {
      stack,
      exists,
      failed,
      preview: { ...preview, errors: words.filter((line) => line !== "") },
      cost: costChange(
        planAt(stack, base === null ? null : fileAt(base, nameOf(stack))),
        planAt(stack, textOf(stack)),
      ),
      policies: reportOf(stack, run.noted, { code: run.code, policies: policies.length }),
      placeholders: used,
    };
  } finally {
    tried?.remove();
  }
}

const nameOf = (stack: string): string => `Pulumi.${stack}.yaml`;

function textOf(stack: string): string | null {
  const file = settingsFile(stack);
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}

/** Pulumi breaks off before its document when it cannot even begin. */
function previewOf(stdout: string) {
  try {
    return readPreview(stdout.slice(Math.max(0, stdout.indexOf("{"))));
  } catch {
    return { steps: [], unchanged: 0, errors: [] };
  }
}

/** The plan of a stack's file; null without one, and where it cannot be planned (Pulumi says why). */
function planAt(stack: string, text: string | null): StackPlan | null {
  if (text === null) return null;
  try {
    return planStack(stack, settingsOf(text, nameOf(stack), { lenient: true }));
  } catch {
    return null;
  }
}

/** Sets variables that stack files name and the environment lacks; returns their names. */
export function standIn(stacks: readonly string[], env: NodeJS.ProcessEnv): string[] {
  const named = stacks.flatMap((stack) => [
    ...(textOf(stack) ?? "").matchAll(/env:([A-Za-z_][A-Za-z0-9_]*)/g),
  ]);
  const missing = [...new Set(named.map(([, name]) => name as string))].filter(
    (name) => !env[name],
  );
  for (const name of missing) env[name] = `placeholder-for-${name}-that-opens-nothing`;
  return missing;
}
