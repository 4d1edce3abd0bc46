import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { closest } from "fastest-levenshtein";
import {
  FAULT_NAMES,
  FAULTS,
  type FaultName,
  HOST_FAULT_NAMES,
} from "../../test/drill/fault-names.ts";
import { dataDir, PROJECT_ROOT } from "../../toolchain/paths.ts";
import { hostsWorld, localWorld } from "../lib/drill-world.ts";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { withAnyStack, withJson } from "../lib/options.ts";
import { paint, result, say, table } from "../lib/terminal.ts";
import { wrap } from "../lib/wrap.ts";

interface Options {
  minutes: number;
  once?: boolean;
  seed?: number;
  fault: FaultName[];
  nodes: number;
  shards: number;
  hosts?: boolean;
  out: string;
  record?: boolean;
  json?: boolean;
}

/** Default length: every fault comes at least once in it, on a machine with two cores. */
const MINUTES = 10;

function number(least: number, most: number, whole: boolean) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= least && value <= most) || (whole && value % 1 !== 0)) {
      throw new InvalidArgumentError(
        `It must be a ${whole ? "whole " : ""}number from ${least} to ${most}.`,
      );
    }
    return value;
  };
}

function addFault(text: string, before: FaultName[]): FaultName[] {
  const all = [...new Set([...FAULT_NAMES, ...HOST_FAULT_NAMES])];
  const name = all.find((known) => known === text);
  if (!name) {
    throw new InvalidArgumentError(
      `There is no fault of this name. Did you mean ${closest(text, all)}? Faults: ${all.join(", ")}.`,
    );
  }
  return [...before, name];
}

async function drill(options: Options): Promise<void> {
  if (process.platform !== "linux") {
    throw new CommandFailed(
      "The drill runs on Linux only",
      "it watches processes through /proc, which this system does not have",
    );
  }
  const named = options.fault.length > 0;
  const { possible, make } = options.hosts ? hostsWorld() : localWorld(options);
  const impossible = options.fault.find((name) => !possible.includes(name));
  if (impossible) {
    const way = impossible in FAULTS ? "raise --nodes, or leave --hosts out" : "add --hosts";
    throw new UsageError(
      `--fault ${impossible} is none of those that can be done here: ${possible.join(", ")}; ${way}`,
    );
  }
  // Loaded late: `--help` must not cost the runtime's start.
  const [{ runDrill }, { pageData }, { renderPage }, { timelineSvg }, { drillText }, record] =
    await Promise.all([
      import("../../test/drill/drill.ts"),
      import("../../test/drill/page/data.ts"),
      import("../../test/drill/page/page.ts"),
      import("../../test/drill/page/timeline.ts"),
      import("../../test/drill/text.ts"),
      import("../../test/drill/record.ts"),
    ]);
  const stop = new AbortController();
  let asked = false;
  const interrupt = () => {
    if (asked) process.exit(130);
    asked = true;
    say("stopping: the drill's fleet is being removed (again to leave at once)");
    stop.abort(new CommandFailed("The drill was stopped", undefined, "./fleet drill"));
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  const began = performance.now();
  try {
    const { driver, release } = await make();
    const seed = options.seed ?? Math.floor(Math.random() * 1_000_000);
    const {
      report,
      history,
      dataDir: kept,
    } = await runDrill({
      seed,
      minutes: options.once ? null : options.minutes,
      faults: named ? options.fault : possible,
      named,
      driver,
      release,
      say: (line) =>
        say(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${line}`),
      signal: stop.signal,
    });
    const runsFile = join(dataDir(), "drill-runs.jsonl");
    const runs = record.readRuns(runsFile);
    const section = options.hosts ? "drill-hosts" : "drill";
    record.appendRun(runsFile, record.pastRun(report, section));
    const out = resolve(options.out);
    const data = pageData(history.header, history.events, report, runs);
    writeFileSync(out, renderPage(data));
    if (options.record) {
      record.recordReliability(join(PROJECT_ROOT, "docs", "reliability.md"), report, {
        section,
        picture: timelineSvg(data),
        earlier: runs,
      });
    }
    result(Boolean(options.json), { ...report, page: out, dataDir: kept }, () =>
      [
        drillText(report, { table, paint }),
        "",
        `page: ${out}`,
        ...(kept
          ? [`details: ${kept} (logs and history.jsonl are kept; remove it when done)`]
          : []),
        ...(report.ok ? [] : [`again: ${report.command} --seed ${seed}`]),
      ].join("\n"),
    );
    if (!report.ok) process.exitCode = 1;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}

export function register(program: Command): void {
  withAnyStack(withJson(program.command("drill")), "none is touched: the drill has its own fleet")
    .summary("break a private fleet again and again, and judge what it did")
    .option("--minutes <n>", "how long faults come", number(0.5, 1_440, false), MINUTES)
    .option("--once", "until each fault came once, however long that takes")
    .option("--seed <n>", "repeats a schedule of faults", number(0, 2 ** 31, true))
    .addOption(
      new Option("--fault <name>", "only this fault; may be repeated")
        .argParser(addFault)
        .default([], "all"),
    )
    .option("--nodes <n>", "nodes of the private fleet", number(1, 9, true), 2)
    .option("--shards <n>", "shards of the private fleet, 1.3 GiB each", number(1, 16, true), 2)
    .option("--hosts", "on three hosts with systemd, made here for the drill; needs root")
    .option("--out <file>", "where the page is written", "./drill-report.html")
    .option("--record", "write the result into docs/reliability.md")
    .addHelpText(
      "after",
      `
No stack is touched: the drill has a fleet, ports and tokens of its own, and
removes them at its end.

${wrap(`Faults: ${FAULT_NAMES.join(", ")}`, 80, 8)}

With --hosts there are 3 nodes and 2 shards, with etcd, Redis and Nginx as
./fleet up makes them.
${wrap(`Faults: ${HOST_FAULT_NAMES.join(", ")}`, 80, 8)}

Examples:
  ./fleet drill --minutes 10
  ./fleet drill --minutes 2 --fault kill-gateway --fault kill-node --seed 7
  ./fleet drill --hosts --once --record`,
    )
    .action(drill);
}
