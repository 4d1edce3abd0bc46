import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { parse } from "yaml";
import { PRESETS } from "../../stacks/presets.ts";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { duration } from "../lib/options.ts";
import { stagedSettings } from "../lib/pipeline/staged.ts";
import { spliceSetting } from "../lib/splice-setting.ts";
import { settingsOf } from "../lib/stack-settings.ts";
import { say } from "../lib/terminal.ts";
import { checkStackName, settingsFile } from "../pulumi.ts";

interface Options {
  stack: string;
  from: string;
  for: number;
  preset?: string;
  port?: number;
}

/** Longer is no while. */
const LONGEST_MS = 14 * 24 * 3_600_000;

function span(text: string): number {
  const ms = duration(text);
  if (ms !== null && ms > 0 && ms <= LONGEST_MS) return ms;
  throw new InvalidArgumentError("a duration such as 90m or 3h, two weeks (336h) at most");
}

function portNumber(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new InvalidArgumentError("a port from 1 to 65535");
}

function stage({ stack, from, for: span, preset, port }: Options): void {
  checkStackName(stack);
  checkStackName(from);
  if (stack === from) throw new UsageError("--stack and --from name the same stack");
  const expires = new Date(Date.now() + span).toISOString();
  const file = settingsFile(stack);
  if (existsSync(file)) {
    extend(file, stack, expires);
    return;
  }
  const base = settingsFile(from);
  if (!existsSync(base)) {
    throw new CommandFailed(
      `Stack ${from} has no settings to take`,
      `Pulumi.${from}.yaml is not there`,
      `./fleet init --stack ${from}, or --from another one`,
    );
  }
  const text = stagedSettings(readFileSync(base, "utf8"), `Pulumi.${from}.yaml`, {
    stack,
    expires,
    preset,
    port,
  });
  settingsOf(text, `Pulumi.${stack}.yaml`, { lenient: true });
  writeFileSync(file, text, { flag: "wx" });
  said(stack, `Wrote Pulumi.${stack}.yaml, as ${from}, until ${expires}`);
}

/** Run again for the same stack: its time begins anew. */
function extend(file: string, stack: string, expires: string): void {
  const before = readFileSync(file, "utf8");
  const { config } = (parse(before) ?? {}) as { config?: Record<string, unknown> };
  if (config?.["openclaw-fleet:ephemeral"] === undefined) {
    throw new CommandFailed(
      `Pulumi.${stack}.yaml is there, and ${stack} is no stack for a while`,
      "it has no openclaw-fleet:ephemeral",
      "choose another name",
    );
  }
  writeFileSync(file, spliceSetting(before, ["ephemeral", "expires"], expires));
  said(stack, `Pulumi.${stack}.yaml holds until ${expires} now`);
}

function said(stack: string, what: string): void {
  process.stdout.write(`${what}\n`);
  say(
    `fleet: next: ./fleet up --stack ${stack} --yes; the end: ./fleet reap --stack ${stack} --now`,
  );
}

export function register(program: Command): void {
  program
    .command("stage")
    .summary("write the settings of a stack for a while, from another stack's")
    .description(
      "Takes a staging stack's settings for one that lives a few hours: environment staging, a name of its own under the domain, and when it ends. Run again, it starts the time anew.",
    )
    .requiredOption("-s, --stack <name>", "the new stack")
    .option("--from <name>", "whose settings are taken", "staging")
    .option("--for <duration>", "how long it lives (default: 3h)", span, 3 * 3_600_000)
    .option("--preset <name>", `another preset: ${PRESETS.map(({ name }) => name).join(", ")}`)
    .option("--port <number>", "another port, on this machine", portNumber)
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet stage --stack pr-12 --for 3h\n  ./fleet stage --stack pr-12 --from dev --port 18999",
    )
    .action(stage);
}
