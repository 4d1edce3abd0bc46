import type { Command } from "commander";
import { withStack, withWait } from "../lib/options.ts";
import { ensureStackProviders } from "../lib/plugins.ts";
import { checkStackName, preparePulumi, requireStack, runForStack } from "../pulumi.ts";
import { requireAnswer } from "./up.ts";

export function register(program: Command): void {
  withWait(withStack(program.command("refresh")))
    .summary("record what is really there, a node that died for example")
    .description("Runs `pulumi refresh`: compares the recorded state with what exists.")
    .option("-y, --yes", "do not ask before recording")
    .argument("[pulumi options...]", "further options of `pulumi refresh`, handed on")
    .allowUnknownOption()
    .addHelpText("after", "\nExamples:\n  ./fleet refresh\n  ./fleet refresh --stack prod --yes")
    .action(
      async (
        args: string[],
        { stack, yes, wait }: { stack: string; yes?: boolean; wait: number },
      ) => {
        checkStackName(stack);
        requireAnswer("refresh", yes);
        const runner = await preparePulumi({ release: true, handsOn: { verb: "refresh", args } });
        await ensureStackProviders(runner, stack);
        requireStack(runner, stack);
        await runForStack(runner, "refresh", stack, [...(yes ? ["--yes"] : []), ...args], wait);
      },
    );
}
