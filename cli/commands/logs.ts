import { type Command, InvalidArgumentError } from "commander";
import { CommandFailed } from "../lib/errors.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { targetOf } from "../lib/fleet-place.ts";
import { readJournals, recordedHosts } from "../lib/host-logs.ts";
import { type LogLine, LogTail, lineText, nodeLogs } from "../lib/log-lines.ts";
import { didYouMean } from "../lib/nearest.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result } from "../lib/terminal.ts";

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

/** A line as soon as it is there: a log that goes on has no end that could close a document. */
function printLine(line: LogLine, json = false): void {
  process.stdout.write(`${json ? JSON.stringify(line) : lineText(line)}\n`);
}

function printAll(lines: readonly LogLine[], { json = false, follow = false }: Options): void {
  if (json && !follow) result(true, { lines }, () => "");
  else for (const line of lines) printLine(line, json);
}

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
  const collect = (bytes: number) =>
    tails
      .flatMap((tail) => tail.read(bytes))
      .filter(wanted)
      .sort((a, b) => a.time.localeCompare(b.time));
  printAll(collect(TAIL_BYTES).slice(-options.lines), options);
  while (options.follow) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    printAll(collect(0), options);
  }
}

/** Each host's journal is read there, over SSH; lines of several hosts are put in order of time. */
async function onHosts(name: string | undefined, options: Options): Promise<void> {
  const { stack, lines: count, follow = false, json } = options;
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
        if (follow) printLine(line, json);
        else found.push(line);
      },
    },
  );
  found.sort((a, b) => a.time.localeCompare(b.time));
  if (reached === 0) throw new CommandFailed("No host could be reached", "each is told of above");
  printAll(found.slice(-count), options);
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
      "\nTimes are UTC. With --json they are one document, its `lines` in the same order; with --follow\nthere is no end, and each line is a JSON object of its own.\nWhat the fields mean: docs/operations.md#log-fields\n\nExamples:\n  ./fleet logs s1 -n 20\n  ./fleet logs a --follow",
    )
    .action(logs);
}
