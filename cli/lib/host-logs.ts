import { NODE_UNIT } from "../../components/node/unit.ts";
import { hostConnection } from "../../plugin/host/connection.ts";
import { type HostConnection, HostUnreachable, type OpenShell } from "../../plugin/host/shell.ts";
import { type LogLine, parseLine } from "./log-lines.ts";
import { say } from "./terminal.ts";

/** The hosts of a stack as its outputs name them. */
export function hostsOf(outputs: Readonly<Record<string, unknown>>): HostConnection[] {
  return hostConnection.array().catch([]).parse(outputs.hosts);
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
