import type { Command } from "commander";
import { CommandFailed } from "../lib/errors.ts";
import { policyVariables } from "../policies.ts";
import { preparePulumi, runPulumi } from "../pulumi.ts";

/** Commands that change a stack or say how. */
const POLICED: readonly string[] = ["up", "update", "preview", "pre"];

export function register(program: Command): void {
  program
    .command("pulumi")
    .summary("any other command of Pulumi, with this project's tools and state")
    .description("Everything after `pulumi` goes to Pulumi as it is. Without --stack: stack dev.")
    .argument("[args...]", "command and options of Pulumi")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet pulumi stack ls\n  ./fleet pulumi config set openclaw-fleet:preset medium --stack prod\n  ./fleet pulumi help",
    )
    .action(async (args: string[], _options: unknown, command: Command) => {
      // Behind further words it is Pulumi's; by itself it asks about this command.
      if (args.length === 1 && (args[0] === "--help" || args[0] === "-h")) {
        return command.outputHelp();
      }
      const runner = await preparePulumi({ release: false, create: true });
      const policed = args.some((arg) => POLICED.includes(arg)) ? await policyVariables() : {};
      const env = { ...runner.env, ...policed, PULUMI_STACK: runner.env.PULUMI_STACK ?? "dev" };
      const code = await runPulumi({ ...runner, env }, args);
      if (code === "interrupted") throw new CommandFailed("pulumi was interrupted");
      // Its own words are above; wrong usage and failures are not told apart by its exit code.
      if (code !== 0) process.exitCode = 1;
    });
}
