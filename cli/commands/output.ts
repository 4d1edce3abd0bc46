import type { Command } from "commander";
import { withStack } from "../lib/options.ts";
import { checkStackName, preparePulumi, requireStack, runForStack } from "../pulumi.ts";

export function register(program: Command): void {
  withStack(program.command("output"))
    .summary("endpoint, tokens, nodes, shards of the stack")
    .description("Runs `pulumi stack output`. Secrets are shown with --show-secrets only.")
    .argument("[name and pulumi options...]", "one output's name, --json, --show-secrets, --shell")
    .allowUnknownOption()
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet output --json\n  ./fleet output token --show-secrets",
    )
    .action(async (args: string[], { stack }: { stack: string }) => {
      checkStackName(stack);
      const runner = await preparePulumi({
        release: false,
        handsOn: { verb: "stack output", args },
      });
      requireStack(runner, stack);
      await runForStack(runner, "stack output", stack, args);
    });
}
