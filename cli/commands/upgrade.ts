import { readFileSync, writeFileSync } from "node:fs";
import { Argument, type Command } from "commander";
import { CommandFailed } from "../lib/errors.ts";
import { withJson, withStack } from "../lib/options.ts";
import { spliceSetting } from "../lib/splice-setting.ts";
import { outputsOf } from "../lib/stack-outputs.ts";
import { stackSettings } from "../lib/stack-settings.ts";
import { result, say, table } from "../lib/terminal.ts";
import { planUpgrade, type Upgrade } from "../lib/upgrade-plan.ts";
import { checkStackName, preparePulumi, settingsFile, stackExists } from "../pulumi.ts";

interface Options {
  stack: string;
  to?: string;
  dryRun?: boolean;
  json?: boolean;
}

async function upgrade(_: string, { stack, to, dryRun, json }: Options): Promise<void> {
  checkStackName(stack);
  const { target, cluster } = stackSettings(stack);
  const name = `Pulumi.${stack}.yaml`;
  if (target !== "eks") {
    throw new CommandFailed(`Stack ${stack} has no cluster to upgrade`, `its target is ${target}`);
  }
  if (cluster.adopt) {
    throw new CommandFailed(
      `The cluster of ${stack} is not this stack's to upgrade`,
      `cluster.adopt takes ${cluster.adopt.name} as it is`,
      `upgrade it where it was made, then write its version into ${name}`,
    );
  }
  const running = await runningVersion(stack);
  const { version: written, os } = cluster;
  const plan = planUpgrade({ written, running, to, os, stack });
  const change = plan.steps.length > 0 && !dryRun;
  if (change) {
    const file = settingsFile(stack);
    const text = readFileSync(file, "utf8");
    writeFileSync(file, spliceSetting(text, ["cluster", "version"], plan.to));
  }
  result(json === true, { version: 1, stack, ...plan, written: change }, () => textOf(plan));
  if (change) {
    say(`Wrote ${name}: openclaw-fleet:cluster.version is ${plan.to}.`);
    say(`Next:  ./fleet preview --stack ${stack}`);
    say(`       ./fleet up --stack ${stack}`);
  }
}

/** What the last `up` recorded; undefined before the first. */
async function runningVersion(stack: string): Promise<string | undefined> {
  const runner = await preparePulumi({ release: false });
  if (!stackExists(runner, stack)) return undefined;
  const recorded = outputsOf(runner, stack).recorded as { clusterVersion?: string } | undefined;
  return recorded?.clusterVersion;
}

function textOf({ from, to, steps, notes }: Upgrade): string {
  const said = notes.map((note) => `! ${note}`);
  if (steps.length === 0) return ["Nothing to do.", ...said].join("\n");
  const rows = steps.map((step, i) => [String(i + 1), step.what, step.from, step.to]);
  return [
    `Kubernetes ${from} → ${to}:`,
    "",
    table(["STEP", "WHAT", "FROM", "TO"], rows),
    "",
    ...said,
  ].join("\n");
}

export function register(program: Command): void {
  withJson(withStack(program.command("upgrade")))
    .summary("bring the cluster one Kubernetes minor further (eks)")
    .description(
      "Shows the steps and writes cluster.version into the stack's file, comments kept; `up` then takes them. One minor at a time, never back.",
    )
    .addArgument(new Argument("<what>", "what to upgrade").choices(["cluster"]))
    .option("--to <minor>", "the minor to go to, e.g. 1.36; the next one when left out")
    .option("--dry-run", "only show the steps")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet upgrade cluster --stack prod --dry-run\n  ./fleet upgrade cluster --stack prod --to 1.36",
    )
    .action(upgrade);
}
