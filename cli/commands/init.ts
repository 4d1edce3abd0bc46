import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { confirm, isCancel } from "@clack/prompts";
import { type Command, Option } from "commander";
import { FLEET_NAME_MAX } from "../../components/context.ts";
import { ConfigError } from "../../components/errors.ts";
import { overBudget, planStack } from "../../stacks/plan.ts";
import { PRESETS } from "../../stacks/presets.ts";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { type Answers, firstSettings, keyVariable, splitModel } from "../lib/first-settings.ts";
import { askFor, environmentOf, OPTION_OF } from "../lib/init-questions.ts";
import { checked, dollars, RULES, several, whole } from "../lib/init-values.ts";
import { canAsk, stackOption, withStack } from "../lib/options.ts";
import { isSample } from "../lib/sample.ts";
import { asCommandFailed, settingsOf } from "../lib/stack-settings.ts";
import { say } from "../lib/terminal.ts";
import { checkStackName, settingsFile } from "../pulumi.ts";
import { saltFirst, secretLines } from "../stack-secrets.ts";

interface Options extends Partial<Answers> {
  stack: string;
  yes?: boolean;
  force?: boolean;
}

async function mayWrite(file: string, options: Options): Promise<void> {
  if (!existsSync(file) || options.force || isSample(readFileSync(file, "utf8"))) return;
  const name = `Pulumi.${options.stack}.yaml`;
  if (!canAsk() || options.yes) {
    throw new UsageError(`${name} is there already: add --force to write it anew`);
  }
  const message = `${name} is there already. Write it anew? What it says is lost`;
  const answer = await confirm({ message, initialValue: false, output: process.stderr });
  if (isCancel(answer) || !answer) throw new CommandFailed("Nothing was written", "you said no");
}

/** Answers that mean something only on some targets. */
const ONLY_ON: readonly (readonly [keyof Answers, string, readonly string[]])[] = [
  ["account", "--account", ["ec2", "eks"]],
  ["region", "--region", ["ec2", "eks"]],
  ["admin", "--admin", ["eks"]],
  ["allow", "--allow", ["eks"]],
  ["host", "--host", ["hosts"]],
  ["hostPrice", "--host-price", ["hosts"]],
  ["domain", "--domain", ["hosts", "ec2", "eks"]],
  ["budget", "--budget", ["hosts", "ec2", "eks"]],
];

/** What a target cannot be written down without. */
const NEEDED: Readonly<Record<string, readonly (keyof Answers)[]>> = {
  hosts: ["host"],
  ec2: ["account", "region"],
  eks: ["account", "region", "admin", "allow"],
};

function checkAnswers(answers: Answers, stack: string): void {
  const { target = "local", models, allow = [] } = answers;
  if (models === "demo" && (answers.baseUrl ?? answers.keyEnv) !== undefined) {
    throw new UsageError("--base-url and --key-env are for --models provider/model");
  }
  for (const [key, option, targets] of ONLY_ON) {
    if (answers[key] !== undefined && !targets.includes(target)) {
      throw new UsageError(
        `${option} is for --target ${targets.join(" or ")}, and it is ${target}`,
      );
    }
  }
  const missing = (NEEDED[target] ?? []).filter((key) => answers[key] === undefined);
  if (missing.length > 0) {
    const options = missing.map((key) => OPTION_OF[key]).join(", ");
    throw new UsageError(`--target ${target} also needs ${options}, or a terminal to ask at`);
  }
  if (allow.length > 1 && allow.includes("private")) {
    throw new UsageError("--allow private stands alone: the API is private, or open to CIDRs");
  }
  const aws = target === "ec2" || target === "eks";
  if (aws && (stack.length > FLEET_NAME_MAX || !/^[a-z][a-z0-9-]*[a-z0-9]$/.test(stack))) {
    throw new UsageError(
      `${stack} cannot name a stack on AWS, whose names begin with it: at most ${FLEET_NAME_MAX} lower-case letters, digits and dashes, beginning with a letter`,
    );
  }
}

/** What the settings make, by the code that will make it; refused before a line is written. */
function planned(stack: string, content: string, name: string): string {
  try {
    // The key may not be there yet; whether it is, is a question for `up`.
    const plan = planStack(stack, settingsOf(content, name, { lenient: true }));
    const dear = overBudget(plan);
    if (dear) throw new ConfigError([dear]);
    const { fleet, cost } = plan;
    const { nodes, shards, machine, target } = fleet;
    const gib = (machine.memoryMiB / 1024).toFixed(1);
    const counts = `${nodes.length} node${nodes.length === 1 ? "" : "s"}, ${shards.length} shard${shards.length === 1 ? "" : "s"}`;
    if (target === "local") return `${counts}, ${gib} GiB of memory`;
    const price = cost ? `, ${cost.monthlyUsd.toFixed(0)} US dollars a month` : "";
    return `${counts}, ${gib} GiB each${price}`;
  } catch (error) {
    throw asCommandFailed(error);
  }
}

/** Salt or key belong to the stack, whose recorded secrets need it; everything else is written anew. */
function keepSecrets(file: string, content: string): string {
  if (!existsSync(file)) return content;
  const kept = secretLines(readFileSync(file, "utf8"));
  const provider = kept.find((line) => line.startsWith("secretsprovider:"));
  const rest = kept.filter((line) => line !== provider);
  const text =
    provider && !/^secretsprovider:/m.test(content)
      ? content.replace(/^config:$/m, `${provider}\nconfig:`)
      : content;
  return rest.length > 0 ? saltFirst(`${text}${rest.join("\n")}\n`) : text;
}

async function init(given: Options): Promise<void> {
  checkStackName(given.stack);
  const { stack } = given;
  const file = settingsFile(stack);
  await mayWrite(file, given);
  const options: Options = canAsk() && !given.yes ? await askFor(given) : given;
  const target = options.target ?? "local";
  const answers: Answers = {
    ...options,
    target,
    models: options.models ?? "demo",
    environment: options.environment ?? (target === "local" ? undefined : environmentOf(stack)),
  };
  checkAnswers(answers, stack);
  const name = `Pulumi.${stack}.yaml`;
  const content = firstSettings(answers);
  const makes = planned(stack, content, name);
  writeFileSync(file, keepSecrets(file, content));
  process.stdout.write(`Wrote ${name}: ${makes}.\n`);
  sayNext(answers, stackOption(stack));
}

function sayNext({ target, models, keyEnv }: Answers, suffix: string): void {
  if (models !== "demo") {
    const { provider } = splitModel(models);
    const variableName = keyEnv ?? keyVariable(provider);
    if (!process.env[variableName]) {
      say(`Its key, one of the two:`);
      say(`  export ${variableName}=…   before each ./fleet up`);
      say(
        `  ./fleet pulumi config set --secret --path 'openclaw-fleet:models.providers.${provider}.apiKey'${suffix}   encrypted in the file`,
      );
    }
  }
  if (target === "ec2" || target === "eks") {
    say(`Next:  ./fleet plan${suffix}     what it makes and costs`);
    say(`       ./fleet doctor${suffix}   whether the account has room for it`);
    say(`       ./fleet up${suffix}`);
  } else say(`Next:  ./fleet up${suffix}`);
}

export function register(program: Command): void {
  withStack(program.command("init"))
    .summary("write the settings of a new stack")
    .description(
      "Writes Pulumi.<stack>.yaml. Asks at a terminal for what no option gives; left halfway, it says how to go on.",
    )
    .addOption(
      new Option(
        "--target <name>",
        "where: this machine, your hosts, AWS machines, AWS Kubernetes",
      ).choices(["local", "hosts", "ec2", "eks"]),
    )
    .addOption(
      new Option("--environment <name>", "what for; as the stack is called when left out").choices([
        "prod",
        "staging",
        "dev",
      ]),
    )
    .addOption(
      new Option("--preset <name>", "how large").choices(PRESETS.map(({ name }) => name as string)),
    )
    .option("--users <count>", "people at once", whole(1, 1_000_000))
    .option("--nodes <count>", "nodes", whole(1, 26))
    .option("--shards <count>", "OpenClaw gateways, 1.3 GiB each", whole(1, 500))
    .option("--port <number>", "where people reach it", whole(1, 65_535))
    .option("--domain <name>", "name under which people reach it", checked(RULES.domain))
    .option("--budget <usd>", "what it may cost a month", dollars)
    .option("--account <id>", "AWS account, twelve digits", checked(RULES.account))
    .option("--region <name>", "AWS region", checked(RULES.region))
    .option("--admin <arn>", "administrator of the cluster; repeat it", several(RULES.admin))
    .option(
      "--allow <cidr>",
      "who reaches the cluster's API; repeat it; or private",
      several(RULES.allow),
    )
    .option("--host <user@address>", "a host of yours; repeat it", several(RULES.host))
    .option("--host-price <usd>", "what one of your hosts costs a month", dollars)
    .option(
      "--secrets-provider <url>",
      "who encrypts secrets in the file",
      checked(RULES.secretsProvider),
    )
    .option("--models <model>", "demo, or provider/model", checked(RULES.models))
    .option(
      "--base-url <url>",
      "of an OpenAI-compatible server, for another provider",
      checked(RULES.address),
    )
    .option("--key-env <name>", "variable that holds the provider's key", checked(RULES.variable))
    .option("-y, --yes", "ask nothing: defaults for what no option gives")
    .option("--force", "write the file anew if there is one")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet init --stack team\n  ./fleet init --stack team --yes --nodes 3 --models anthropic/claude-sonnet-4-5\n  ./fleet init --stack prod --target ec2 --preset medium --account 123456789012 --region eu-central-1 --domain chat.example.com --budget 900",
    )
    .action(init);
}
