import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { confirm, isCancel, select, text } from "@clack/prompts";
import { type Command, InvalidArgumentError, Option } from "commander";
import { PRESETS, planFleet } from "../../stacks/presets.ts";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { type Answers, firstSettings, keyVariable, splitModel } from "../lib/first-settings.ts";
import { canAsk, withStack } from "../lib/options.ts";
import { asCommandFailed, settingsOf } from "../lib/stack-settings.ts";
import { say } from "../lib/terminal.ts";
import { checkStackName, saltFirst, settingsFile } from "../pulumi.ts";

interface Options extends Partial<Answers> {
  stack: string;
  yes?: boolean;
  force?: boolean;
}

const MODEL = /^[A-Za-z0-9][\w.-]*\/\S+$/;

const whole = (least: number, most: number) => (given: string) => {
  const n = Number(given);
  if (given.trim() !== "" && Number.isInteger(n) && n >= least && n <= most) return n;
  throw new InvalidArgumentError(`A whole number from ${least} to ${most}.`);
};

function models(given: string): string {
  if (given === "demo" || MODEL.test(given)) return given;
  throw new InvalidArgumentError("demo, or provider/model as OpenClaw writes it.");
}

function variable(given: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(given)) return given;
  throw new InvalidArgumentError("The name of an environment variable, not the key itself.");
}

function address(given: string): string {
  if (URL.canParse(given) && /^https?:/.test(given)) return given;
  throw new InvalidArgumentError("An http or https address.");
}

/** A prompt's answer; Ctrl-C leaves everything as it was. */
function answered<T>(answer: T | symbol): T {
  if (isCancel(answer)) throw new CommandFailed("Nothing was written", "you left the questions");
  return answer as T;
}

/** Asks for what no option gave. Sizes have good defaults, so only what people differ in is asked. */
async function ask(options: Options): Promise<Options> {
  const output = process.stderr;
  const preset =
    options.preset ??
    answered<string>(
      await select({
        message: "How large?",
        output,
        options: [
          { value: "", label: "2 nodes, 2 shards", hint: "the least that survives a loss" },
          ...PRESETS.map(({ name, users, nodes }) => ({
            value: name as string,
            label: name as string,
            hint: `${users.max === null ? `above ${users.min - 1}` : `up to ${users.max}`} users, ${nodes.default} nodes`,
          })),
        ],
      }),
    );
  const wanted =
    options.models ??
    answered<string>(
      await text({
        message: "Which model? demo (no key needed), or provider/model",
        output,
        placeholder: "demo",
        defaultValue: "demo",
        validate: (given) =>
          !given || given === "demo" || MODEL.test(given) ? undefined : "demo, or provider/model",
      }),
    );
  return { ...options, models: wanted, ...(preset === "" ? {} : { preset }) };
}

async function mayWrite(file: string, options: Options): Promise<void> {
  if (!existsSync(file) || options.force) return;
  const name = `Pulumi.${options.stack}.yaml`;
  if (!canAsk() || options.yes) {
    throw new UsageError(`${name} is there already: add --force to write it anew`);
  }
  const message = `${name} is there already. Write it anew? What it says is lost`;
  const answer = await confirm({ message, initialValue: false, output: process.stderr });
  if (isCancel(answer) || !answer) throw new CommandFailed("Nothing was written", "you said no");
}

/** What the settings make, by the code that will make it; refused before a line is written. */
function planned(content: string, name: string): string {
  try {
    // The key may not be there yet; whether it is, is a question for `up`.
    const { nodes, shards, machine } = planFleet(settingsOf(content, name, { lenient: true }));
    const gib = (machine.memoryMiB / 1024).toFixed(1);
    return `${nodes.length} node${nodes.length === 1 ? "" : "s"}, ${shards.length} shard${shards.length === 1 ? "" : "s"}, ${gib} GiB of memory`;
  } catch (error) {
    throw asCommandFailed(error);
  }
}

/** The salt belongs to the stack, whose recorded secrets need it; everything else is written anew. */
function keepSalt(file: string, content: string): string {
  const salt = existsSync(file) && /^encryptionsalt: .*$/m.exec(readFileSync(file, "utf8"));
  return salt ? saltFirst(`${content}${salt[0]}\n`) : content;
}

async function init(given: Options): Promise<void> {
  checkStackName(given.stack);
  const file = settingsFile(given.stack);
  await mayWrite(file, given);
  const options = canAsk() && !given.yes ? await ask(given) : given;
  const answers: Answers = { ...options, models: options.models ?? "demo" };
  if (answers.models === "demo" && (answers.baseUrl ?? answers.keyEnv) !== undefined) {
    throw new UsageError("--base-url and --key-env are for --models provider/model");
  }
  const name = `Pulumi.${given.stack}.yaml`;
  const content = firstSettings(answers);
  const makes = planned(content, name);
  writeFileSync(file, keepSalt(file, content));
  process.stdout.write(`Wrote ${name}: ${makes}.\n`);
  const suffix = given.stack === "dev" ? "" : ` --stack ${given.stack}`;
  if (answers.models !== "demo") {
    const { provider } = splitModel(answers.models);
    const variableName = answers.keyEnv ?? keyVariable(provider);
    if (!process.env[variableName]) {
      say(`Its key, one of the two:`);
      say(`  export ${variableName}=…   before each ./fleet up`);
      say(
        `  ./fleet pulumi config set --secret --path 'openclaw-fleet:models.providers.${provider}.apiKey'${suffix}   encrypted in the file`,
      );
    }
  }
  say(`Next:  ./fleet up${suffix}`);
}

export function register(program: Command): void {
  withStack(program.command("init"))
    .summary("write the settings of a new stack")
    .description(
      "Writes Pulumi.<stack>.yaml for this machine. Asks at a terminal for what no option gives.",
    )
    .addOption(
      new Option("--preset <name>", "how large").choices(PRESETS.map(({ name }) => name as string)),
    )
    .option("--nodes <count>", "nodes", whole(1, 26))
    .option("--shards <count>", "OpenClaw gateways, 1.3 GiB each", whole(1, 500))
    .option("--port <number>", "where people reach it", whole(1, 65_535))
    .option("--models <model>", "demo, or provider/model", models)
    .option("--base-url <url>", "of an OpenAI-compatible server, for another provider", address)
    .option("--key-env <name>", "variable that holds the provider's key", variable)
    .option("-y, --yes", "ask nothing: defaults for what no option gives")
    .option("--force", "write the file anew if there is one")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet init --stack team\n  ./fleet init --stack team --yes --nodes 3 --models anthropic/claude-sonnet-4-5",
    )
    .action(init);
}
