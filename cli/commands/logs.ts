import { type Command, InvalidArgumentError } from "commander";
import { CommandFailed } from "../lib/errors.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { type LogLine, LogTail, lineText, nodeLogs } from "../lib/log-lines.ts";
import { didYouMean } from "../lib/nearest.ts";
import { withJson, withStack } from "../lib/options.ts";

interface Options {
  stack: string;
  json?: boolean;
  follow?: boolean;
  lines: number;
}

/** Enough for a few hundred lines of each node; the newest are what is asked for. */
const TAIL_BYTES = 2 ** 20;

const positive = (text: string): number => {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new InvalidArgumentError("a whole number above 0");
  return n;
};

async function logs(name: string | undefined, options: Options): Promise<void> {
  const access = await fleetAccess(options.stack);
  const files = nodeLogs(access.dataDir ?? "");
  const shards = access.config?.shards.map((s) => s.id) ?? [];
  const isNode = name !== undefined && files.has(name);
  if (name !== undefined && !isNode && !shards.includes(name)) {
    const names = [...files.keys(), ...shards];
    throw new CommandFailed(
      `${name} is neither a node nor a shard of this fleet.${didYouMean(name, names)}`,
      `nodes: ${[...files.keys()].join(", ") || "none"}; shards: ${shards.join(", ")}`,
    );
  }
  const tails = [...files]
    .filter(([id]) => !isNode || id === name)
    .map(([id, path]) => new LogTail(id, path));
  const wanted = (line: LogLine) => name === undefined || isNode || line.shard === name;
  const print = (lines: LogLine[]) => {
    for (const line of lines) {
      process.stdout.write(`${options.json ? JSON.stringify(line) : lineText(line)}\n`);
    }
  };
  const collect = (bytes: number) =>
    tails
      .flatMap((tail) => tail.read(bytes))
      .filter(wanted)
      .sort((a, b) => a.time.localeCompare(b.time));
  print(collect(TAIL_BYTES).slice(-options.lines));
  while (options.follow) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    print(collect(0));
  }
}

export function register(program: Command): void {
  withJson(withStack(program.command("logs")))
    .summary("what nodes and gateways wrote, in order of time")
    .argument("[node|shard]", "only this one")
    .option("-f, --follow", "go on until Ctrl-C")
    .option("-n, --lines <count>", "how many of the newest lines", positive, 100)
    .addHelpText(
      "after",
      "\nTimes are UTC. With --json each line is one JSON document.\nWhat the fields mean: docs/operations.md#log-fields\n\nExamples:\n  ./fleet logs s1 -n 20\n  ./fleet logs a --follow",
    )
    .action(logs);
}
