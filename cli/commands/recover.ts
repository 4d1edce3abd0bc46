import { type Command, InvalidArgumentError } from "commander";
import { duration, withJson, withStack } from "../lib/options.ts";
import { LOST_AFTER_MS } from "../lib/pipeline/locks.ts";
import { mendFiles } from "../lib/pipeline/mend-files.ts";
import { holderWords, type Recovered, recoverStack } from "../lib/pipeline/recover.ts";
import { SETTLE_MS } from "../lib/pipeline/settle.ts";
import { ensureStateProviders } from "../lib/pipeline/state-providers.ts";
import { result } from "../lib/terminal.ts";
import { checkStackName, preparePulumi, requireStack } from "../pulumi.ts";

interface Options {
  stack: string;
  json?: boolean;
  lostAfter: number;
  settle: number;
  made: (readonly [string, string])[];
  drop?: boolean;
}

function span(text: string): number {
  const ms = duration(text);
  if (ms === null) throw new InvalidArgumentError("a duration such as 0s, 30m or 2h");
  return ms;
}

function madeAs(
  text: string,
  before: (readonly [string, string])[],
): (readonly [string, string])[] {
  const at = text.lastIndexOf("=");
  if (!text.startsWith("urn:pulumi:") || at < 0 || at === text.length - 1) {
    throw new InvalidArgumentError("It is URN=ID, with the id that the cloud gave.");
  }
  return [...before, [text.slice(0, at), text.slice(at + 1)]];
}

function words({ stack, holders, pending, absent, dropped }: Recovered): string {
  if (holders.length === 0 && pending.length === 0) return `${stack}: nothing to recover`;
  return [
    `${stack}: free, ${pending.length} pending operations settled`,
    ...holders.map((holder) => `  held by ${holderWords(holder)}`),
    ...absent.map(({ type, urn }) => `  did not come about: ${type}  ${urn}`),
    ...(dropped.length === 0
      ? []
      : [
          "! forgotten, since nobody knows whether they came about:",
          ...dropped.map(({ type, urn }) => `  ${type}  ${urn}`),
        ]),
  ].join("\n");
}

export function register(program: Command): void {
  withJson(withStack(program.command("recover")))
    .summary("free a stack that a killed run left locked and half done")
    .description(
      "Shows who holds the stack and since when, refuses while that run may be alive, removes its lock, and settles by a refresh what it had begun.",
    )
    .option(
      "--lost-after <duration>",
      "another machine's run is taken for ended after that (default: 2h)",
      span,
      LOST_AFTER_MS,
    )
    .option(
      "--settle <duration>",
      "so long after a killed run what it made may be missing in AWS's lists (default: 2m)",
      span,
      SETTLE_MS,
    )
    .option("--made <urn=id>", "a pending create that came about; may be repeated", madeAs, [])
    .option("--drop", "forget pending creates of which nobody knows")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet recover --stack prod\n  ./fleet recover --stack pr-12 --lost-after 0s",
    )
    .action(async ({ stack, json, lostAfter, settle, made, drop = false }: Options) => {
      checkStackName(stack);
      const runner = await preparePulumi({ release: true });
      mendFiles(runner.env);
      requireStack(runner, stack);
      await ensureStateProviders(runner, stack);
      const options = { lostAfterMs: lostAfter, settleMs: settle, made, drop };
      const recovered = await recoverStack(runner, stack, options);
      result(Boolean(json), recovered, () => words(recovered));
    });
}
