import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { withStack } from "../lib/options.ts";
import { ensureStackProviders } from "../lib/plugins.ts";
import { checkSettings } from "../lib/stack-settings.ts";
import { say } from "../lib/terminal.ts";
import { withPolicies } from "../policies.ts";
import {
  checkStackName,
  preparePulumi,
  runForStack,
  stackExists,
  throwawayStack,
} from "../pulumi.ts";

interface Options {
  stack: string;
  markdown?: string;
  stacks?: string;
  base?: string;
  placeholders?: boolean;
}

export function register(program: Command): void {
  withStack(program.command("preview"))
    .summary("what would `up` change?")
    .description("Runs `pulumi preview` under the policies. Changes and creates nothing.")
    .option("--markdown <file>", "write what the change does to users, its cost and findings")
    .option("--stacks <names>", "with --markdown: several stacks, by comma")
    .option("--base <ref>", "with --markdown: compare with this commit, and skip what is alike")
    .option("--placeholders", "stand-ins for variables of secrets that are not set")
    .argument("[pulumi options...]", "further options of `pulumi preview`, handed on")
    .allowUnknownOption()
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet preview --stack prod --diff\n  ./fleet preview --stacks prod,staging --markdown preview.md --base origin/main",
    )
    .action(async (args: string[], options: Options) => {
      if (options.markdown !== undefined) return report(options.markdown, args, options);
      if (options.base !== undefined || options.stacks !== undefined) {
        throw new UsageError("--base and --stacks are for --markdown");
      }
      const { stack } = options;
      checkStackName(stack);
      if (options.placeholders) await placeholders([stack]);
      // Settings given on the command line are for Pulumi to put together.
      if (!args.some((arg) => /^(-c|--config)/.test(arg))) checkSettings(stack);
      const runner = await preparePulumi({ release: true, handsOn: { verb: "preview", args } });
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

async function placeholders(stacks: readonly string[]): Promise<string[]> {
  const { standIn } = await import("../lib/pipeline/stack-change.ts");
  const names = standIn(stacks, process.env);
  for (const name of names) say(`fleet: a placeholder stands in for ${name}`);
  return names;
}

/** The comment of a pull request; written also where something is refused, since then it is read. */
async function report(file: string, args: readonly string[], options: Options): Promise<void> {
  const stacks = (options.stacks ?? options.stack).split(",").map((name) => name.trim());
  for (const stack of stacks) checkStackName(stack);
  const [{ stackChange }, { findBase }, { headline, previewMarkdown }, { POLICIES: policies }] =
    await Promise.all([
      import("../lib/pipeline/stack-change.ts"),
      import("../lib/pipeline/base.ts"),
      import("../lib/pipeline/preview-markdown.ts"),
      import("../../policies/all.ts"),
    ]);
  const base = options.base === undefined ? null : findBase(options.base);
  const used = options.placeholders ? await placeholders(stacks) : [];
  const runner = await preparePulumi({ release: true, handsOn: { verb: "preview", args } });
  const changes = [];
  for (const stack of stacks) {
    changes.push(await stackChange(runner, stack, { base, policies, args, placeholders: used }));
  }
  writeFileSync(file, `${previewMarkdown(changes, base?.ref ?? null)}\n`);
  for (const change of changes) {
    process.stdout.write(`${headline(change).replaceAll("**", "")}\n`);
  }
  say(`Wrote ${file}`);
  const bad = changes.filter(({ failed }) => failed).map(({ stack }) => stack);
  if (bad.length > 0) {
    throw new CommandFailed(
      `The change of ${bad.join(", ")} would not go through`,
      `${file} says why`,
      `./fleet preview --stack ${bad[0]} shows all of Pulumi's words`,
    );
  }
}
