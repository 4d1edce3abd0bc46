import { NODE_UNIT } from "../../components/node/unit.ts";
import { hostConnection } from "../../plugin/host/connection.ts";
import { type HostConnection, HostUnreachable, type OpenShell } from "../../plugin/host/shell.ts";
import { CommandFailed } from "./errors.ts";
import { requireFleet } from "./fleet-place.ts";
import { type LogLine, parseLine } from "./log-lines.ts";
import { say } from "./terminal.ts";

/** The hosts of a stack as its outputs name them. */
export function hostsOf(outputs: Readonly<Record<string, unknown>>): HostConnection[] {
  return hostConnection.array().catch([]).parse(outputs.hosts);
}

/**
 * Hosts and shards of a stack, as its last `up` wrote them down; none where the fleet is on this machine.
 * @throws CommandFailed when no fleet runs on what the stack makes
 */
export async function recordedHosts(
  stack: string,
): Promise<{ hosts: HostConnection[]; shards: string[] }> {
  const place = await requireFleet(stack);
  if (place.at === "here") return { hosts: [], shards: [] };
  const { outputs } = place;
  const shards = Array.isArray(outputs.shards) ? (outputs.shards as string[]) : [];
  return { hosts: hostsOf(outputs), shards };
}

export interface JournalOptions {
  /** How many of the newest lines of each host. */
  readonly lines: number;
  /** Go on with what comes. */
  readonly follow: boolean;
  /** Called with each line as it comes. */
  readonly onLine: (line: LogLine) => void;
  readonly signal: AbortSignal;
}

/**
 * Reads the node's journal on every host at once, over SSH. A host that cannot be reached is told of, and
 * keeps nobody from the others' lines. Resolves with how many were reached.
 */
export async function readJournals(
  hosts: readonly HostConnection[],
  open: OpenShell,
  { lines, follow, onLine, signal }: JournalOptions,
): Promise<number> {
  const argv = ["journalctl", `--unit=${NODE_UNIT}`, `--lines=${lines}`, "--output=cat", "--quiet"];
  if (follow) argv.push("--follow");
  const reached = await Promise.all(
    hosts.map(async (host) => {
      const shell = open(host);
      try {
        const { code, stderr } = await shell.exec(argv, {
          onLine: (text) => onLine(parseLine(host.name, text)),
          signal,
        });
        if (code !== 0) say(`fleet: ${host.name}: journalctl ended with ${code}: ${stderr.trim()}`);
        return code === 0;
      } catch (error) {
        if (signal.aborted) return true;
        if (!(error instanceof HostUnreachable)) throw error;
        say(`fleet: ${error.message}`);
        return false;
      } finally {
        await shell.close();
      }
    }),
  );
  return reached.filter(Boolean).length;
}

/** Journals of the fleet's other programs: etcd, Redis, the front, monitoring, and what the node's failure says. */
const FLEET_UNITS = "openclaw-fleet-*";

/**
 * The newest lines of one host's journal as text: the node's own as it wrote them, or those of all units of the
 * fleet with time and program before each. Throws CommandFailed or HostUnreachable when they cannot be had.
 */
export async function journalText(
  host: HostConnection,
  open: OpenShell,
  { lines, of }: { lines: number; of: "node" | "fleet" },
): Promise<string> {
  const [unit, output] = of === "node" ? [NODE_UNIT, "cat"] : [FLEET_UNITS, "short-iso"];
  const argv = [
    "journalctl",
    `--unit=${unit}`,
    `--lines=${lines}`,
    `--output=${output}`,
    "--quiet",
  ];
  const shell = open(host);
  try {
    const { code, stdout, stderr } = await shell.exec(argv);
    if (code === 0) return stdout;
    throw new CommandFailed(`journalctl on ${host.name} ended with ${code}`, stderr.trim());
  } finally {
    await shell.close();
  }
}
