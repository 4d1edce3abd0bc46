import { delimiter, dirname } from "node:path";
import type { Command } from "commander";
import type { Turns } from "../../test/support/turns.ts";
import {
  ensureLanguageHost,
  LANGUAGE_HOST_MAIN,
  LANGUAGE_HOST_VARIABLE,
} from "../../toolchain/language-host.ts";
import { ensureOpenclaw } from "../../toolchain/openclaw.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { ensurePulumi } from "../../toolchain/pulumi.ts";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { withAnyStack } from "../lib/options.ts";
import { closingLine } from "../test-report.ts";
import { runSteps, stepsOf, wantsHosts } from "../test-run.ts";

interface Options {
  quick?: boolean;
  full?: boolean;
}

/** All parts together must end within this, ms: what still runs then has failed. */
const LONGEST_MS = 80 * 60_000;
/** The same for what takes hours. */
const LONGEST_FULL_MS = 12 * 60 * 60_000;

export function register(program: Command): void {
  withAnyStack(program.command("test"), "tests make stacks of their own")
    .summary("run this project's own tests")
    .description(
      "Parts: check (types, format), unit, real (engine, fleet and hosts), engine,\nfleet, hosts, bench, or a path.\nWithout a part: check, unit and of real the day's turn.",
    )
    .argument("[part]", "what to run")
    .argument("[vitest options...]", "further options, handed on")
    .option("--quick", "without the long files that take turns; of bench, little of everything")
    .option("--full", "with engine or hosts: also what takes hours, and every share of the dates")
    .allowUnknownOption()
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet test\n  ./fleet test hosts --quick\n  ./fleet test unit -t lease\n  ./fleet test engine --full",
    )
    .action(async (part: string | undefined, extra: string[], { quick, full }: Options) => {
      if (full && part !== "engine" && part !== "hosts") {
        throw new UsageError(
          "--full goes with one of two parts: ./fleet test engine --full, or hosts --full",
        );
      }
      const steps = stepsOf(part, full);
      if (!steps) {
        throw new UsageError(
          `${part} is no part of the tests: check, unit, real, engine, fleet, hosts, bench, or a path`,
        );
      }
      if (quick && full) throw new UsageError("--quick or --full, not both");
      const turns = turnsOf(part, quick);
      if (turns) await tellLeftOut(turns);
      if (wantsHosts(steps)) await prepareHosts();
      const options = quick && part === "bench" ? ["--quick", ...extra] : extra;
      const count = await runSteps(steps, options, {
        env: {
          ...(await testEnvironment()),
          ...(turns ? { OPENCLAW_FLEET_TEST_TURNS: turns } : {}),
          ...(full ? { OPENCLAW_FLEET_TEST_FULL: "1" } : {}),
        },
        deadline: performance.now() + (full || part === "real" ? LONGEST_FULL_MS : LONGEST_MS),
        say: (line) => process.stderr.write(`${line}\n`),
      });
      process.stdout.write(`${closingLine(count)}\n`);
      if (count.failed > 0) process.exitCode = 1;
      if (count.passed + count.failed === 0) {
        throw new CommandFailed("no test ran", "nothing matched", "check the path or the filter");
      }
    });
}

/** Null: nothing is left out. */
function turnsOf(part: string | undefined, quick = false): Turns | null {
  if (part === "bench" || part === "check" || part === "unit") return null;
  if (quick) return "none";
  return part === undefined ? "day" : null;
}

async function tellLeftOut(turns: Turns): Promise<void> {
  // Loaded here: it is part of the tests, and no other command needs it.
  const { filesLeftOut } = await import("../../test/support/turns.ts");
  const when = turns === "day" ? " have their turn on another day and" : "";
  process.stderr.write(
    `fleet: test: ${filesLeftOut(turns).length} long files${when} are left out; ./fleet test real runs them all\n`,
  );
}

/** The image of hosts takes minutes the first time: longer than a test may begin. */
async function prepareHosts(): Promise<void> {
  // Loaded here: it is part of the tests, and no other command needs it.
  const { whyNoHosts } = await import("../../test/hosts/support/programs.ts");
  const why = whyNoHosts();
  if (why !== null) {
    process.stderr.write(`fleet: test: tests on hosts are left out: ${why}\n`);
    return;
  }
  const { baseImage } = await import("../../test/hosts/support/base-image.ts");
  await baseImage();
}

/** Tests find the tools by these variables; they install nothing themselves. */
async function testEnvironment(): Promise<NodeJS.ProcessEnv> {
  const progress = createProgress();
  const [openclaw, pulumi] = await Promise.all([
    ensureOpenclaw({ progress }),
    ensurePulumi({ progress }),
  ]);
  return {
    ...process.env,
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
    OPENCLAW_FLEET_NODE: process.execPath,
    OPENCLAW_FLEET_OPENCLAW: openclaw.path,
    OPENCLAW_FLEET_PULUMI: pulumi.path,
    OPENCLAW_FLEET_LANGUAGE_HOST: dirname(ensureLanguageHost(pulumi).path),
    [LANGUAGE_HOST_VARIABLE]: LANGUAGE_HOST_MAIN,
  };
}
