import { Command, CommanderError } from "commander";
import { ToolchainError } from "../toolchain/errors.ts";
import { CommandFailed, UsageError } from "./lib/errors.ts";
import { paint } from "./lib/terminal.ts";
import { columnsOf, wrap } from "./lib/wrap.ts";

/** Headings of the help, and what stands under each. A command not named here comes under the last. */
const GROUPS: readonly (readonly [string, readonly string[]])[] = [
  ["Look:", ["status", "plan", "preview", "policy", "output", "logs", "history", "docs", "doctor"]],
  ["Change:", ["init", "up", "chat", "drain", "resume", "move", "refresh", "destroy", "pulumi"]],
  ["Backups:", ["backups", "backup", "restore", "adopt"]],
  ["In pipelines:", ["drift", "stage", "smoke", "reap", "recover", "release", "github"]],
  ["On hosts:", ["rotate-certs", "compose"]],
  ["On AWS:", ["bootstrap", "kubeconfig", "tunnel", "upgrade"]],
  ["Repair and try:", ["drill", "support", "test", "env"]],
];

const EXAMPLES = `
Examples:
  ./fleet up                    bring up the fleet of stack dev on this machine
  ./fleet chat "hello"          talk to it
  ./fleet status --stack prod   how is it?

Every command has --help with examples. Without --stack the stack is dev.`;

interface CommandModule {
  register(program: Command): void;
}

/**
 * Runs one command line and returns the exit code: 0 the wish came true, 1 it did not, 2 wrong usage.
 * Only the module of the command that was named is loaded; help needs them all.
 */
export async function run(argv: string[], names: string[]): Promise<number> {
  const args = argv[0] === "help" ? [...argv.slice(1), "--help"] : argv;
  const program = build();
  try {
    const named = args.find((arg) => !arg.startsWith("-"));
    const wanted = named !== undefined && names.includes(named) ? [named] : names;
    const modules = await Promise.all(
      wanted.map(async (name) => (await import(`./commands/${name}.ts`)) as CommandModule),
    );
    for (const heading of GROUPS) {
      for (const name of heading[1]) modules[wanted.indexOf(name)]?.register(program);
    }
    const grouped = GROUPS.flatMap(([, members]) => members);
    modules.forEach((module, index) => {
      if (!grouped.includes(wanted[index] ?? "")) module.register(program);
    });
    for (const command of program.commands) settle(command);
    if (argv.length === 0) {
      program.outputHelp();
      return 0;
    }
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return explain(error);
  }
}

function build(): Command {
  const program = new Command("./fleet")
    .usage("<command> [options]")
    .description("OpenClaw, highly available: one command brings up a fleet of gateways.")
    .enablePositionalOptions()
    .helpCommand(false)
    .exitOverride()
    .configureHelp({ sortSubcommands: false, subcommandTerm: (command) => command.name() })
    .showSuggestionAfterError(true)
    .addHelpText("after", EXAMPLES);
  // `--stack --help` must not make a stack named --help.
  program.hook("preAction", (_, command) => {
    for (const option of command.options) {
      const value: unknown = command.getOptionValue(option.attributeName());
      if (typeof value === "string" && value.startsWith("-")) {
        throw new UsageError(`${option.long} wants a value and was followed by ${value}`);
      }
    }
  });
  return program;
}

function settle(command: Command): void {
  command.exitOverride();
  command.showHelpAfterError(`./fleet ${command.name()} --help has examples`);
  const summary = command.summary();
  if (command.description() === "") {
    command.description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`);
    command.summary(summary);
  }
  const group = GROUPS.find(([, members]) => members.includes(command.name())) ?? GROUPS.at(-1);
  if (group) command.helpGroup(group[0]);
}

/** Says what went wrong on stderr and gives the exit code. */
export function explain(error: unknown): number {
  const columns = columnsOf(process.stderr);
  const write = (text: string) => process.stderr.write(`${wrap(text, columns, 7)}\n`);
  // Commander has written its own message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const mark = paint("red", "error:", process.stderr);
  if (error instanceof UsageError) {
    write(`${mark} ${error.message}`);
    return 2;
  }
  if (error instanceof CommandFailed) {
    write(`${mark} ${error.message}`);
    if (error.why) write(`  why: ${error.why}`);
    if (error.advice) write(`  do:  ${error.advice}`);
    return 1;
  }
  if (error instanceof ToolchainError) {
    write(`${mark} ${error.message}`);
    return 1;
  }
  write(`${mark} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 1;
}
