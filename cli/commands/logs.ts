import { type Command, InvalidArgumentError } from "commander";
import { CommandFailed } from "../lib/errors.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { targetOf } from "../lib/fleet-place.ts";
import { readJournals, recordedHosts } from "../lib/host-logs.ts";
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

const printer = (options: Options) => (line: LogLine) => {
  process.stdout.write(`${options.json ? JSON.stringify(line) : lineText(line)}\n`);
};

async function logs(name: string | undefined, options: Options): Promise<void> {
  if (targetOf(options.stack) !== "local") return await onHosts(name, options);
  const access = await fleetAccess(options.stack);
  const files = nodeLogs(access.dataDir ?? "");
  const shards = access.config?.shards.map((s) => s.id) ?? [];
  const isNode = name !== undefined && files.has(name);
  if (name !== undefined && !isNode && !shards.includes(name)) {
    throw unknownName(name, [...files.keys()], shards);
  }
  const tails = [...files]
    .filter(([id]) => !isNode || id === name)
    .map(([id, path]) => new LogTail(id, path));
  const wanted = (line: LogLine) => name === undefined || isNode || line.shard === name;
  const print = (lines: LogLine[]) => lines.forEach(printer(options));
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

/** Each host's journal is read there, over SSH; lines of several hosts are put in order of time. */
async function onHosts(name: string | undefined, options: Options): Promise<void> {
  const { stack, lines: count, follow = false } = options;
  const { hosts, shards } = await recordedHosts(stack);
  const isNode = hosts.some((host) => host.name === name);
  if (name !== undefined && !isNode && !shards.includes(name)) {
    throw unknownName(
      name,
      hosts.map((host) => host.name),
      shards,
    );
  }
  const wanted = (line: LogLine) => name === undefined || isNode || line.shard === name;
  const { openSsh } = await import("../../plugin/host/ssh.ts");
  const found: LogLine[] = [];
  const print = printer(options);
  const reached = await readJournals(
    hosts.filter((host) => !isNode || host.name === name),
    openSsh,
    {
      // Of a shard's lines a host may have few among many.
      lines: isNode || name === undefined ? count : count * 20,
      follow,
      signal: new AbortController().signal,
      onLine: (line) => {
        if (!wanted(line)) return;
        if (follow) print(line);
        else found.push(line);
      },
    },
  );
  found.sort((a, b) => a.time.localeCompare(b.time));
  found.slice(-count).forEach(print);
  if (reached === 0) throw new CommandFailed("No host could be reached", "each is told of above");
}

function unknownName(name: string, nodes: readonly string[], shards: readonly string[]) {
  return new CommandFailed(
    `${name} is neither a node nor a shard of this fleet.${didYouMean(name, [...nodes, ...shards])}`,
    `nodes: ${nodes.join(", ") || "none"}; shards: ${shards.join(", ")}`,
  );
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
