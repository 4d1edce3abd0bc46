import type { Command } from "commander";
import { withStack } from "../lib/options.ts";
import { ensureStackProviders } from "../lib/plugins.ts";
import { checkSettings } from "../lib/stack-settings.ts";
import { withPolicies } from "../policies.ts";
import {
  checkStackName,
  preparePulumi,
  runForStack,
  stackExists,
  throwawayStack,
} from "../pulumi.ts";

export function register(program: Command): void {
  withStack(program.command("preview"))
    .summary("what would `up` change?")
    .description("Runs `pulumi preview` under the policies. Changes and creates nothing.")
    .argument("[pulumi options...]", "further options of `pulumi preview`, handed on")
    .allowUnknownOption()
    .addHelpText("after", "\nExamples:\n  ./fleet preview\n  ./fleet preview --stack prod --diff")
    .action(async (args: string[], { stack }: { stack: string }) => {
      checkStackName(stack);
      // Settings given on the command line are for Pulumi to put together.
      if (!args.some((arg) => /^(-c|--config)/.test(arg))) checkSettings(stack);
      const runner = await preparePulumi({ release: true });
      await ensureStackProviders(runner, stack);
      if (stackExists(runner, stack)) {
        return runForStack(await withPolicies(runner, args), "preview", stack, args);
      }
      const tried = throwawayStack(runner, stack);
      try {
        process.stderr.write(
          `fleet: stack ${stack} does not exist yet; this is what its first up would do\n`,
        );
        const all = [...tried.args, ...args];
        await runForStack(await withPolicies(tried.runner, all), "preview", stack, all);
      } finally {
        tried.remove();
      }
    });
}
