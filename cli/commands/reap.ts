import { type Command, InvalidArgumentError } from "commander";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { duration, withJson } from "../lib/options.ts";
import { judge, tagsOf } from "../lib/pipeline/ephemeral.ts";
import { LOST_AFTER_MS } from "../lib/pipeline/locks.ts";
import { mendFiles } from "../lib/pipeline/mend-files.ts";
import { recoverStack } from "../lib/pipeline/recover.ts";
import { SETTLE_MS } from "../lib/pipeline/settle.ts";
import { stateOf } from "../lib/pipeline/state.ts";
import { ensureStateProviders } from "../lib/pipeline/state-providers.ts";
import { result, say, table } from "../lib/terminal.ts";
import {
  askPulumi,
  checkStackName,
  type PulumiRunner,
  preparePulumi,
  runPulumi,
} from "../pulumi.ts";
import { rawSettings } from "../settings.ts";

interface Options {
  stack?: string;
  now?: boolean;
  dryRun?: boolean;
  json?: boolean;
  lostAfter: number;
  settle: number;
}

/** What became of one stack. */
interface Fate {
  readonly stack: string;
  readonly fate: "destroyed" | "would be destroyed" | "later" | "refused" | "failed" | "permanent";
  /** When it expires; null where it does not. */
  readonly expires: string | null;
  /** Why, where something is in the way. */
  readonly why: string | null;
  /** Creates of a killed run of which nobody knows whether they came about. */
  readonly lost: readonly string[];
}

const BAD: readonly Fate["fate"][] = ["refused", "failed"];

/** Names of all stacks of this project in the backend. */
function allStacks(runner: PulumiRunner): string[] {
  const listed = askPulumi(runner, ["stack", "ls", "--json"]);
  if (listed === null) {
    throw new CommandFailed(
      "The stacks cannot be listed",
      "Pulumi does not reach its backend",
      "./fleet pulumi stack ls shows its own words",
    );
  }
  return (JSON.parse(listed) as { name: string }[]).map(
    ({ name }) => name.split("/").at(-1) as string,
  );
}

async function reapOne(runner: PulumiRunner, stack: string, options: Options): Promise<Fate> {
  const fate = { stack, expires: null, why: null, lost: [] };
  const tags = tagsOf(runner, stack);
  let resources: ReturnType<typeof stateOf>["resources"];
  try {
    resources = stateOf(runner, stack).resources;
  } catch (error) {
    // One state that cannot be read keeps no other stack from its end.
    return { ...fate, fate: "failed", why: (error as CommandFailed).message };
  }
  const { environment } = rawSettings(stack);
  const judged = judge({ stack, tags, resources, environment }, Date.now(), options.now === true);
  if (judged.verdict === "permanent") return { ...fate, fate: "permanent" };
  if (judged.verdict === "refused") return { ...fate, fate: "refused", why: judged.why };
  const { expires } = judged;
  if (judged.verdict === "later") return { ...fate, fate: "later", expires };
  if (options.dryRun) return { ...fate, fate: "would be destroyed", expires };
  say(`fleet: ${stack} expires ${expires}: destroying it`);
  let lost: string[] = [];
  try {
    await ensureStateProviders(runner, stack);
    const { dropped } = await recoverStack(runner, stack, {
      lostAfterMs: options.lostAfter,
      settleMs: options.settle,
      ending: true,
    });
    lost = dropped.map(({ urn }) => urn);
    await destroy(runner, stack);
    return { ...fate, fate: "destroyed", expires, lost };
  } catch (error) {
    const { message, why } = error as CommandFailed;
    // What a killed run left may be what the rest cannot go without.
    const may = lost.length === 0 ? "" : `; it may have left ${lost.join(", ")}`;
    const said = `${why ? `${message}: ${why}` : message}${may}`;
    return { ...fate, fate: "failed", expires, why: said, lost };
  }
}

async function destroy(runner: PulumiRunner, stack: string): Promise<void> {
  const args = ["destroy", "--yes", "--skip-preview", "--stack", stack];
  const code = await runPulumi(runner, args, { toStderr: true });
  if (code !== 0) {
    throw new CommandFailed(`destroy of ${stack} failed`, `Pulumi ended with ${code}, see above`);
  }
  if (stateOf(runner, stack).resources.some(({ type }) => type !== "pulumi:pulumi:Stack")) {
    throw new CommandFailed(`destroy of ${stack} left something`, "its state is not empty");
  }
  if (askPulumi(runner, ["stack", "rm", stack, "--yes", "--preserve-config"]) === null) {
    throw new CommandFailed(`${stack} is empty and could not be removed from the backend`);
  }
}

async function reap(options: Options): Promise<void> {
  if (options.now && options.stack === undefined) {
    throw new UsageError("--now destroys before the time: name the one stack with --stack");
  }
  if (options.stack !== undefined) checkStackName(options.stack);
  const runner = await preparePulumi({ release: true });
  mendFiles(runner.env);
  const all = allStacks(runner);
  const wanted = options.stack === undefined ? all : all.filter((name) => name === options.stack);
  const fates: Fate[] = [];
  for (const stack of wanted) fates.push(await reapOne(runner, stack, options));
  // A permanent stack is nobody's business here, unless it was named.
  const told = fates
    .filter(({ fate }) => fate !== "permanent" || options.stack !== undefined)
    .map((one) =>
      one.fate === "permanent"
        ? { ...one, fate: "refused" as const, why: "it is not tagged as a stack for a while" }
        : one,
    );
  result(Boolean(options.json), { version: 1, stacks: told }, () => text(told, options.stack));
  const bad = told.filter(({ fate }) => BAD.includes(fate));
  if (bad.length > 0) {
    throw new CommandFailed(
      `${bad.map(({ stack }) => stack).join(", ")} ${bad.length === 1 ? "is" : "are"} still there`,
      bad.map(({ stack, why }) => `${stack}: ${why}`).join("; "),
      "mend that and run this again; ./fleet recover --stack NAME frees one that is locked",
    );
  }
  const lost = told.flatMap((one) => one.lost);
  if (lost.length > 0) {
    throw new CommandFailed(
      "Everything that is known was destroyed; a killed run may have left something",
      `begun, and nobody knows whether it came about: ${lost.join(", ")}`,
      "look in the account for the tag openclaw-fleet-expires",
    );
  }
}

function text(fates: readonly Fate[], named: string | undefined): string {
  if (fates.length === 0) {
    return named === undefined
      ? "No stack for a while is there"
      : `${named} is not there (any more)`;
  }
  return table(
    ["STACK", "WHAT", "EXPIRES", "WHY"],
    fates.map(({ stack, fate, expires, why }) => [stack, fate, expires ?? "–", why ?? ""]),
  );
}

function span(text: string): number {
  const ms = duration(text);
  if (ms === null) throw new InvalidArgumentError("a duration such as 0s, 30m or 2h");
  return ms;
}

export function register(program: Command): void {
  withJson(program.command("reap"))
    .summary("destroy stacks for a while whose time is over")
    .description(
      "Looks through the backend for stacks tagged as being for a while, and destroys those that have expired, also after a killed run. Refuses whatever is protected, of environment prod, or not tagged.",
    )
    .option("-s, --stack <name>", "this stack only")
    .option("--now", "with --stack: also before its time")
    .option("--dry-run", "say what would be destroyed")
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
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet reap --dry-run\n  ./fleet reap --stack pr-12 --now",
    )
    .action(reap);
}
