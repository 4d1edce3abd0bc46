import { spawn } from "node:child_process";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { CommandFailed } from "../lib/errors.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { withJson, withStack } from "../lib/options.ts";
import { smoke } from "../lib/pipeline/smoke.ts";
import { age, result, say, table } from "../lib/terminal.ts";

interface Options {
  stack: string;
  json?: boolean;
  drill: number;
}

function minutes(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value <= 60) return value;
  throw new InvalidArgumentError("It must be a number of minutes from 0 to 60.");
}

/** The drill as a person starts it; its report is progress here. */
async function drill(length: number): Promise<void> {
  say(`fleet: smoke: a drill of ${length} min`);
  const args = [join(PROJECT_ROOT, "cli", "main.ts"), "drill", "--minutes", String(length)];
  const child = spawn(process.execPath, args, { cwd: PROJECT_ROOT, stdio: ["ignore", 2, 2] });
  const stop = () => child.kill("SIGTERM");
  process.on("SIGTERM", stop);
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? 1));
  }).finally(() => process.off("SIGTERM", stop));
  if (code !== 0) {
    throw new CommandFailed("smoke: the drill found something", "its report is above");
  }
}

export function register(program: Command): void {
  withJson(withStack(program.command("smoke")))
    .summary("talk to a fleet, take the gateway that answered away, talk on")
    .description(
      "Asks a question, kills the gateway that answered (elsewhere than on this machine: moves its shard), and asks on in the same conversation. With --drill a private fleet on this machine is then broken for some minutes. For fleets that nobody uses yet.",
    )
    .option("--drill <minutes>", "how long the drill at the end lasts; 0: none", minutes, 0)
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet smoke --stack pr-12\n  ./fleet smoke --stack pr-12 --drill 3 --json",
    )
    .action(async ({ stack, json, drill: length }: Options) => {
      const tried = await smoke(await fleetAccess(stack));
      if (length > 0) {
        const begun = performance.now();
        await drill(length);
        const ms = Math.round(performance.now() - begun);
        tried.push({ what: `a drill of ${length} min`, ms, found: "nothing wrong" });
      }
      result(Boolean(json), { version: 1, stack, tried }, () =>
        table(
          ["TRIED", "TOOK", "FOUND"],
          tried.map(({ what, ms, found }) => [what, age(ms), found]),
        ),
      );
    });
}
