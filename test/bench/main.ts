import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { paint, say } from "../../cli/lib/terminal.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { ensureRelease } from "../../toolchain/release.ts";
import { replaceSection } from "../drill/record.ts";
import { agents } from "./agents.ts";
import type { Part, PartResult } from "./part.ts";
import { preview } from "./preview.ts";
import { recovery } from "./recovery.ts";
import { replication } from "./replication.ts";
import { rolling } from "./rolling.ts";
import { router } from "./router.ts";
import { shards } from "./shards.ts";
import {
  busyWarning,
  capacitySection,
  lookAtMachine,
  type Machine,
  marks,
  partText,
} from "./text.ts";

const PARTS: readonly Part[] = [router, recovery, rolling, shards, agents, replication, preview];
const USAGE = `Usage: ./fleet test bench [PART…] [--quick] [--trials N] [--write]

Parts, all when none is named:
${PARTS.map(({ name, title }) => `  ${name.padEnd(11)}  ${title.toLowerCase()}`).join("\n")}

  --quick      little of everything: shows that it works, not what it measures
  --trials N   kills of each kind in recovery, (20)
  --write      puts the results into docs/capacity.md

Timings are reported and never fail a run; a lost request or two owners do.`;

/** Kills of each kind. */
const TRIALS = 20;
const QUICK_TRIALS = 2;
const MOST_TRIALS = 1_000;

const CAPACITY = join(PROJECT_ROOT, "docs", "capacity.md");

function write(part: Part, result: PartResult, machine: Machine, options: string[]): void {
  const page = existsSync(CAPACITY) ? readFileSync(CAPACITY, "utf8") : "# Capacity\n";
  const { begin, end } = marks(part.name);
  const loadAfter = lookAtMachine().load;
  const section = capacitySection(part, result, machine, new Date(), options, loadAfter);
  writeFileSync(CAPACITY, replaceSection(page, begin, end, section));
}

function parse(argv: string[]) {
  return parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      trials: { type: "string", default: String(TRIALS) },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
}

async function bench(argv: string[]): Promise<number> {
  let args: ReturnType<typeof parse>;
  try {
    args = parse(argv);
  } catch (error) {
    say(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  const { values, positionals } = args;
  const unknown = positionals.filter((name) => !PARTS.some((part) => part.name === name));
  if (values.help || unknown.length > 0) {
    if (unknown.length > 0) say(`${unknown.join(", ")} is no part of the bench\n`);
    say(USAGE);
    return unknown.length > 0 ? 2 : 0;
  }
  const trials = values.quick ? QUICK_TRIALS : Number(values.trials);
  if (!Number.isInteger(trials) || trials < 1 || trials > MOST_TRIALS) {
    say(`--trials is ${values.trials}: it must be a whole number from 1 to ${MOST_TRIALS}`);
    return 2;
  }
  const stop = new AbortController();
  const interrupt = () => {
    if (stop.signal.aborted) process.exit(130);
    say("stopping: the bench's fleet is being removed (again to leave at once)");
    stop.abort(new Error("the bench was stopped"));
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  let ready: ReturnType<typeof ensureRelease> | null = null;
  const release = () => {
    ready ??= ensureRelease();
    return ready;
  };
  const begun = performance.now();
  let failed = 0;
  for (const part of PARTS) {
    if (positionals.length > 0 && !positionals.includes(part.name)) continue;
    const line = (what: string) => {
      const at = ((performance.now() - begun) / 1000).toFixed(0).padStart(5);
      say(`${at} s  ${part.name}: ${what}`);
    };
    const machine = lookAtMachine();
    const warning = busyWarning(machine);
    if (warning) line(warning);
    try {
      const { quick } = values;
      const context = { quick, trials, release, say: line, signal: stop.signal };
      const result = await part.run(context);
      process.stdout.write(`${partText(part, result, paint)}\n`);
      if (values.write) {
        const fewer = trials === TRIALS || part !== recovery ? [] : [`--trials ${trials}`];
        write(part, result, machine, quick ? ["--quick"] : fewer);
      }
      if (result.broken.length > 0) failed++;
    } catch (error) {
      failed++;
      if (stop.signal.aborted) {
        line("stopped, nothing of it is left");
        break;
      }
      line(`failed: ${(error as Error).message}`);
    }
  }
  return failed > 0 ? 1 : 0;
}

process.exitCode = await bench(process.argv.slice(2));
