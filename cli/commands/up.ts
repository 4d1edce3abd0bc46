import type { Command } from "commander";
import { announce } from "../announce.ts";
import { answersInCloud } from "../lib/cloud-status.ts";
import { UsageError } from "../lib/errors.ts";
import { carriesFleet, targetOf } from "../lib/fleet-place.ts";
import { goOnOptions } from "../lib/go-on.ts";
import { sessionsMissing } from "../lib/host-sessions.ts";
import { withStack, withWait } from "../lib/options.ts";
import { markEphemeral } from "../lib/pipeline/ephemeral.ts";
import { ensureStackProviders } from "../lib/plugins.ts";
import { outputsOf } from "../lib/stack-outputs.ts";
import { checkSettings } from "../lib/stack-settings.ts";
import { say } from "../lib/terminal.ts";
import { withPolicies } from "../policies.ts";
import {
  checkStackName,
  createStack,
  preparePulumi,
  putSaltFirst,
  runForStack,
} from "../pulumi.ts";
import { diedUnseen, proveReady } from "../readiness.ts";

/** What `up` takes. */
export interface UpOptions {
  stack: string;
  yes?: boolean;
  wait: number;
}

export function register(program: Command): void {
  withWait(withStack(program.command("up")))
    .summary("bring the fleet up, or to its changed settings")
    .description(
      "Runs `pulumi up` under the policies, then waits until the fleet answers a real chat turn. Starts again what died.",
    )
    .option("-y, --yes", "do not ask before changing things")
    .argument("[pulumi options...]", "further options of `pulumi up`, handed on")
    .allowUnknownOption()
    .addHelpText("after", "\nExamples:\n  ./fleet up\n  ./fleet up --stack prod --yes --diff")
    .action(up);
}

/** Everything that `./fleet up` does. */
export async function up(args: string[], { stack, yes, wait }: UpOptions): Promise<void> {
  checkStackName(stack);
  requireAnswer("up", yes);
  // Settings given on the command line are for Pulumi to put together.
  if (!args.some((arg) => /^(-c|--config)/.test(arg))) checkSettings(stack);
  // A warning only: a change of what is no host's needs no way to them.
  const missing = sessionsMissing(stack);
  if (missing) say(`fleet: ${missing.text}: ${missing.fix}`);
  const runner = await preparePulumi({
    release: true,
    create: true,
    handsOn: { verb: "up", args },
  });
  await ensureStackProviders(runner, stack);
  createStack(runner, stack);
  markEphemeral(runner, stack);
  const died = args.some((arg) => /^(-r\b|--refresh)/.test(arg)) ? null : await diedUnseen(stack);
  if (died) say(`fleet: ${died}: looking at what still runs first`);
  const options = [
    ...(yes ? ["--yes"] : []),
    ...(died ? ["--refresh"] : []),
    ...goOnOptions(stack, args),
    ...args,
  ];
  await runForStack(await withPolicies(runner, args), "up", stack, options, wait);
  putSaltFirst(stack);
  const outputs = outputsOf(runner, stack);
  if (carriesFleet(targetOf(stack), outputs)) {
    say("fleet: asking one question, to see that it answers");
    for (const note of await proveReady(stack)) say(`fleet: ${note}`);
  } else if (!(await answersInCloud(stack, outputs))) {
    return say(`fleet: the layers of ${stack} are made; its outputs are for the stack above`);
  }
  announce(stack, outputs);
}

/** Pulumi would ask; without a terminal nobody could answer. */
export function requireAnswer(verb: string, yes: boolean | undefined): void {
  if (yes || process.stdin.isTTY || process.env.PULUMI_SKIP_CONFIRMATIONS === "true") return;
  throw new UsageError(
    `${verb} asks before it changes anything, and there is no terminal: add --yes`,
  );
}
