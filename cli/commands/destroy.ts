import { isCancel, text } from "@clack/prompts";
import type { Command } from "commander";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { goOnOptions } from "../lib/go-on.ts";
import { canAsk, withStack, withWait } from "../lib/options.ts";
import { stateOf } from "../lib/pipeline/state.ts";
import { ensureStackProviders } from "../lib/plugins.ts";
import { outputsOf } from "../lib/stack-outputs.ts";
import { keepsAtDestroy, placeOf, refuseOtherEnd, whatDies } from "../lib/what-dies.ts";
import { checkStackName, preparePulumi, requireStack, runForStack } from "../pulumi.ts";
import { rawSettings } from "../settings.ts";

export function register(program: Command): void {
  withWait(withStack(program.command("destroy")))
    .summary("stop the fleet and remove what it made")
    .description("Runs `pulumi destroy`, after saying what dies and asking for the stack's name.")
    .option("-y, --yes", "do not ask for the name")
    .argument("[pulumi options...]", "further options of `pulumi destroy`, handed on")
    .allowUnknownOption()
    .addHelpText("after", "\nExamples:\n  ./fleet destroy\n  ./fleet destroy --stack drill-1 --yes")
    .action(
      async (
        args: string[],
        { stack, yes, wait }: { stack: string; yes?: boolean; wait: number },
      ) => {
        checkStackName(stack);
        if (!yes && !canAsk()) {
          throw new UsageError(
            "destroy asks for the stack's name, and there is no terminal: add --yes",
          );
        }
        refuseProtected(stack);
        const runner = await preparePulumi({ release: true, handsOn: { verb: "destroy", args } });
        await ensureStackProviders(runner, stack);
        requireStack(runner, stack);
        const outputs = outputsOf(runner, stack);
        const settings = rawSettings(stack);
        const keeping = () =>
          keepsAtDestroy(stack, rawSettings(stack), stateOf(runner, stack).resources);
        const keeps = keeping();
        process.stderr.write(`${whatDies(stack, outputs, settings, keeps)}\n`);
        if (!yes) await confirmByName(stack);
        // Between what was shown and its turn another run may have ended.
        const ready = () => refuseOtherEnd(stack, keeps, keeping());
        await runForStack(
          runner,
          "destroy",
          stack,
          ["--yes", ...goOnOptions(stack, args), ...args],
          wait,
          ready,
        );
      },
    );
}

/** A production stack is destroyed in two steps, so that one wrong word cannot do it. */
function refuseProtected(stack: string): void {
  const settings = rawSettings(stack);
  if (settings.environment !== "prod") return;
  const place = placeOf(settings);
  throw new CommandFailed(
    `Stack ${stack}${place ? ` in ${place}` : ""} is protected`,
    `openclaw-fleet:environment is prod in Pulumi.${stack}.yaml`,
    `1. set it to staging, with openclaw-fleet:keepData: true to keep what people said, and run ./fleet up --stack ${stack}; 2. ./fleet destroy --stack ${stack}`,
  );
}

async function confirmByName(stack: string): Promise<void> {
  const answer = await text({
    message: `Type the stack's name (${stack}) to destroy it`,
    output: process.stderr,
  });
  if (isCancel(answer) || String(answer).trim() !== stack) {
    throw new CommandFailed(`Nothing was destroyed`, "the name was not typed");
  }
}
