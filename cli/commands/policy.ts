import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { readStackFile } from "../../stacks/stack-file.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { CommandFailed } from "../lib/errors.ts";
import { withJson, withStack } from "../lib/options.ts";
import { errorLines, policedPreview } from "../lib/policed-preview.ts";
import { policyText, reportOf } from "../lib/policy-report.ts";
import { type PlaceOf, sarif } from "../lib/sarif.ts";
import { checkSettings } from "../lib/stack-settings.ts";
import { result, say } from "../lib/terminal.ts";
import { withPolicies } from "../policies.ts";
import {
  checkStackName,
  preparePulumi,
  settingsFile,
  stackExists,
  throwawayStack,
} from "../pulumi.ts";

interface Options {
  stack: string;
  json?: boolean;
  sarif?: string;
}

export function register(program: Command): void {
  withJson(withStack(program.command("policy")))
    .summary("what do the policies say of a stack?")
    .description(
      "Previews the stack under the policies and lists what they found. Changes and creates nothing. Exit code 1 when something is refused.",
    )
    .option("--sarif <file>", "also write the findings as SARIF, for code scanning")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet policy --stack prod\n  ./fleet policy --stack prod --json --sarif findings.sarif",
    )
    .action(async (options: Options) => {
      const { stack } = options;
      checkStackName(stack);
      checkSettings(stack);
      const { POLICIES } = await import("../../policies/all.ts");
      const runner = await preparePulumi({ release: true });
      const tried = stackExists(runner, stack) ? null : throwawayStack(runner, stack);
      try {
        const args = tried?.args ?? [];
        const policed = await withPolicies(tried?.runner ?? runner, args);
        say(`fleet: previewing ${stack} under the policies`);
        const run = await policedPreview(policed, stack, args);
        const { code, noted } = run;
        const report = reportOf(stack, noted, { code, policies: POLICIES.length });
        if (options.sarif !== undefined) {
          const file = basename(settingsFile(stack));
          const about = { policies: POLICIES, file, version: packVersion(), place: placeIn(stack) };
          writeFileSync(
            options.sarif,
            `${JSON.stringify(sarif(report.findings, about), null, 2)}\n`,
          );
          say(`Wrote ${options.sarif}`);
        }
        result(Boolean(options.json), { version: 1, ...report }, () => policyText(report));
        if (report.verdict === "broken") {
          throw new CommandFailed(
            `The preview of ${stack} failed, and not everything was judged`,
            errorLines(run),
            `./fleet preview --stack ${stack} shows all of it`,
          );
        }
        if (report.verdict !== "passed") process.exitCode = 1;
      } finally {
        tried?.remove();
      }
    });
}

/** Where the first setting that a policy names is written. */
function placeIn(stack: string): PlaceOf {
  const file = readStackFile(settingsFile(stack));
  return (setting) => {
    const path = (setting.split(",")[0] ?? "").split(/[.[\]]+/).filter((key) => key !== "");
    const [line, column] = file?.place(path)?.split(":").slice(-2).map(Number) ?? [];
    return line === undefined || column === undefined ? undefined : { line, column };
  };
}

function packVersion(): string {
  const manifest = join(PROJECT_ROOT, "policies", "package.json");
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
