import { Argument, type Command } from "commander";
import { bootstrapStack, type Place } from "../../bootstrap/names.ts";
import { isRepository } from "../../bootstrap/settings.ts";
import {
  configOf,
  inOwnBucket,
  inThisFolder,
  isThere,
  moveIntoBucket,
  nextSteps,
  outputsOfBootstrap,
  runUp,
  writeSettings,
} from "../lib/bootstrap-run.ts";
import { UsageError } from "../lib/errors.ts";
import { checked, RULES, several } from "../lib/init-values.ts";
import { withAnyStack } from "../lib/options.ts";
import { ensureProviders } from "../lib/plugins.ts";
import { say } from "../lib/terminal.ts";
import { preparePulumi } from "../pulumi.ts";
import { requireAnswer } from "./up.ts";

interface Options {
  account?: string;
  region?: string;
  repository?: string[];
  branch?: string;
  environment?: string[];
  existingGithub?: boolean;
  yes?: boolean;
}

async function bootstrap(_: string, options: Options): Promise<void> {
  const { account, region, yes } = options;
  if (account === undefined || region === undefined) {
    throw new UsageError("bootstrap aws needs --account and --region: neither is ever guessed");
  }
  requireAnswer("bootstrap aws", yes);
  const place: Place = { accountId: account, region };
  const runner = await preparePulumi({ release: false, create: true });
  await ensureProviders(runner, ["aws"]);
  // Later runs find the state in the bucket that the first one made. What is still on this machine
  // has not been moved yet, whatever the bucket says.
  const bucket = inOwnBucket(runner, place);
  const here = inThisFolder(runner, place);
  const there = !isThere(here, place) && isThere(bucket, place);
  const from = there ? bucket : here;
  say(
    there
      ? `fleet: going on with what ${bootstrapStack(place)} made before`
      : `fleet: the first time in account ${account}, ${region}`,
  );
  writeSettings(from, place, configOf(options, place));
  await runUp(from, place, yes === true);
  if (!there) moveIntoBucket(from, bucket, place);
  process.stdout.write(`${nextSteps(place, outputsOfBootstrap(bucket, place))}\n`);
}

export function register(program: Command): void {
  withAnyStack(program.command("bootstrap"), "what this makes outlives every one of them")
    .summary("make what outlives every stack: state bucket, key, roles of CI")
    .description(
      "Makes, once an account and region, the bucket of states, the key of their secrets, and for GitHub a role that deploys and one that only looks. Run again it changes what differs; no destroy touches it.",
    )
    .addArgument(new Argument("<cloud>", "where").choices(["aws"]))
    .option("--account <id>", "AWS account, twelve digits", checked(RULES.account))
    .option("--region <name>", "AWS region", checked(RULES.region))
    .option(
      "--repository <owner/name>",
      "whose GitHub workflows may deploy; owner@ID/name@ID where its tokens have numbers",
      several((given) => (isRepository(given) ? null : "owner/name, or owner@ID/name@ID")),
    )
    .option("--branch <name>", "branch that deploys; main when left out", checked(RULES.branch))
    .option(
      "--environment <name>",
      "GitHub environment that deploys, instead of a branch",
      several(RULES.branch),
    )
    .option("--existing-github", "the account has GitHub's identity provider already")
    .option("-y, --yes", "do not ask before making things")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet bootstrap aws --account 123456789012 --region eu-central-1 --repository ann/fleet\n  ./fleet bootstrap aws --account 123456789012 --region eu-central-1 --repository ann/fleet --environment prod --yes",
    )
    .action(bootstrap);
}
