import type { Command } from "commander";
import { ensureLanguageHost } from "../../toolchain/language-host.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { ensurePulumi } from "../../toolchain/pulumi.ts";
import { prepareBackend, pulumiVariables, shellExports } from "../../toolchain/pulumi-env.ts";
import { policyVariables } from "../policies.ts";
import { checkStackName } from "../pulumi.ts";

export function register(program: Command): void {
  program
    .command("env")
    .summary("lines for your shell, so that a plain `pulumi` finds the same tools, state and stack")
    .description("Prints exports for a POSIX shell. Secrets are named by their file, not printed.")
    .option("--json", "the same as one JSON document")
    .option("-s, --stack <name>", "the stack that a plain `pulumi` works on from then on")
    .addHelpText(
      "after",
      '\nExamples:\n  eval "$(./fleet env)" && pulumi up --stack dev\n  ./fleet env --json',
    )
    .action(async ({ json, stack }: { json?: boolean; stack?: string }) => {
      if (stack !== undefined) checkStackName(stack);
      const pulumi = await ensurePulumi({ progress: createProgress() });
      prepareBackend();
      const variables = {
        ...pulumiVariables({ pulumi, languageHost: ensureLanguageHost(pulumi) }),
        ...(await policyVariables()),
        ...(stack === undefined ? {} : { PULUMI_STACK: stack }),
      };
      const text = json
        ? JSON.stringify({ version: 1, variables }, null, 2)
        : shellExports(variables);
      process.stdout.write(`${text}\n`);
    });
}
