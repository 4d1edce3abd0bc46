import { readFileSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { AUTHORITY_STEPS } from "../../plugin/host/credentials.ts";
import { CommandFailed } from "../lib/errors.ts";
import { withStack, withWait } from "../lib/options.ts";
import { spliceSetting } from "../lib/splice-setting.ts";
import { outputsOf } from "../lib/stack-outputs.ts";
import { stackSettings } from "../lib/stack-settings.ts";
import { say } from "../lib/terminal.ts";
import { checkStackName, preparePulumi, settingsFile, stackExists } from "../pulumi.ts";
import { requireAnswer, type UpOptions, up } from "./up.ts";

interface Options extends UpOptions {
  authority?: boolean;
}

async function rotate(options: Options): Promise<void> {
  const { stack, authority } = options;
  checkStackName(stack);
  requireAnswer("rotate-certs", options.yes);
  const { target, certificates } = stackSettings(stack);
  if (target !== "hosts" && target !== "ec2") {
    throw new CommandFailed(
      `Stack ${stack} has no certificates of its own`,
      `its target is ${target}; hosts have them, because their nodes speak to each other over a network`,
    );
  }
  if (!authority) {
    write(stack, "generation", certificates.generation + 1);
    say(`fleet: new certificates and keys for every host, one after another`);
    return await up([], options);
  }
  for (const step of stepsToGo(certificates.authorityStep, await stepTaken(stack))) {
    const phase = step % AUTHORITY_STEPS;
    write(stack, "authorityStep", step);
    say(
      `fleet: step ${phase === 0 ? AUTHORITY_STEPS : phase} of ${AUTHORITY_STEPS}: ${MEANING[phase]}`,
    );
    await up([], options);
  }
}

/**
 * Steps to the end of an exchange of the authority, or of the next one. The setting is written before its `up`, which
 * may be refused, or end at the first of several hosts: what counts is the step that all of them took.
 * @param taken what the stack says of that; undefined: nothing, and then a step is done again rather than left out
 */
export function stepsToGo(setting: number, taken: number | undefined): number[] {
  const before = taken ?? (setting % AUTHORITY_STEPS === 0 ? setting : setting - 1);
  const left = AUTHORITY_STEPS - (before % AUTHORITY_STEPS);
  return Array.from({ length: left }, (_, i) => before + 1 + i);
}

/** The last step that every host took; undefined where no `up` wrote it down. */
async function stepTaken(stack: string): Promise<number | undefined> {
  const runner = await preparePulumi({ release: false });
  if (!stackExists(runner, stack)) return undefined;
  const { authorityStep } = outputsOf(runner, stack);
  return typeof authorityStep === "number" ? authorityStep : undefined;
}

/** By the remainder of the step. */
const MEANING = [
  "the old authority is trusted no more",
  "the next authority is trusted beside the old one",
  "certificates are the next authority's",
] as const;

function write(stack: string, name: "generation" | "authorityStep", value: number): void {
  const file = settingsFile(stack);
  writeFileSync(file, spliceSetting(readFileSync(file, "utf8"), ["certificates", name], value));
  say(`fleet: wrote Pulumi.${stack}.yaml: openclaw-fleet:certificates.${name} is ${value}`);
}

export function register(program: Command): void {
  withWait(withStack(program.command("rotate-certs")))
    .summary("new certificates between the hosts, while the fleet serves (hosts, ec2)")
    .description(
      "Counts the setting in the stack's file and runs `up`: hosts take the new ones one after another. Nodes, fronts and etcd go on; Redis and Sentinel on the hosts start anew, one host at a time. With --authority the authority itself is exchanged, in three such steps, in which etcd starts anew as well; an interrupted exchange goes on where it stands.",
    )
    .option("--authority", "exchange the fleet's own authority as well")
    .option("-y, --yes", "do not ask before changing things")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet rotate-certs --stack vps\n  ./fleet rotate-certs --stack vps --authority --yes",
    )
    .action(rotate);
}
