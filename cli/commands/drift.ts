import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { CommandFailed } from "../lib/errors.ts";
import { withJson, withStack } from "../lib/options.ts";
import {
  type Drift,
  driftMarkdown,
  driftOf,
  driftText,
  hasDrifted,
} from "../lib/pipeline/drift.ts";
import { ensureStateProviders } from "../lib/pipeline/state-providers.ts";
import { readPreview } from "../lib/pipeline/steps.ts";
import { result, say } from "../lib/terminal.ts";
import { checkStackName, type PulumiRunner, preparePulumi, requireStack } from "../pulumi.ts";

interface Options {
  stack: string;
  json?: boolean;
  markdown?: string;
}

function look({ pulumi, env }: PulumiRunner, stack: string): Drift {
  say(`fleet: comparing ${stack} with what is there`);
  const args = ["refresh", "--preview-only", "--json", "--stack", stack, "--non-interactive"];
  const run = spawnSync(pulumi, args, {
    cwd: PROJECT_ROOT,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 256 * 2 ** 20,
  });
  const at = run.stdout.indexOf("{");
  const preview = at < 0 ? null : readPreview(run.stdout.slice(at));
  if (run.status === 0 && preview) return driftOf(stack, preview);
  throw new CommandFailed(
    `${stack} could not be compared with what is there`,
    preview?.errors.join("\n") || run.stderr.trim() || `Pulumi ended with ${run.status}`,
    "look at the credentials first: ./fleet doctor",
  );
}

export function register(program: Command): void {
  withJson(withStack(program.command("drift")))
    .summary("is everything still as it was made?")
    .description(
      "Looks at every resource of the stack and says what differs from the state. Changes nothing, the state neither. Exit code 1 when something differs.",
    )
    .option("--markdown <file>", "also write it for an issue")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet drift --stack prod\n  ./fleet drift --stack prod --markdown drift.md",
    )
    .action(async ({ stack, json, markdown }: Options) => {
      checkStackName(stack);
      const runner = await preparePulumi({ release: false });
      requireStack(runner, stack);
      await ensureStateProviders(runner, stack);
      const drift = look(runner, stack);
      if (markdown !== undefined) {
        writeFileSync(markdown, `${driftMarkdown(drift)}\n`);
        say(`Wrote ${markdown}`);
      }
      const drifted = hasDrifted(drift);
      result(Boolean(json), { version: 1, ...drift, drifted }, () => driftText(drift));
      if (drifted) process.exitCode = 1;
    });
}
