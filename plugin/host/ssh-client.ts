import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { collect, endOf } from "./child.ts";
import type { HostConnection } from "./shell.ts";
import { noClient } from "./ssh-errors.ts";
import { destinationOf, destinationOptions, expandHome } from "./ssh-options.ts";

/** Starts OpenSSH's client, in a session of its own, so that nothing can ask at the terminal. */
export function startSsh(args: readonly string[]): ChildProcess {
  return spawn("ssh", args, {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, SSH_ASKPASS_REQUIRE: "never", LC_ALL: "C" },
  });
}

/** Ends a client and what it goes through: the programs of a session do not end by themselves with it. */
export function endSsh(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGTERM");
  } catch {
    // Nothing of it runs any more.
  }
}

/** Where ssh would go by its own configuration, and which files of known keys it would ask. */
export interface Resolved {
  readonly user: string;
  readonly port: string;
  /** True when the connection goes over another host. */
  readonly jumps: boolean;
  readonly knownHosts: readonly string[];
}

/** Asks ssh, without connecting. @throws HostUnreachable when there is no ssh, or it does not take its configuration */
export async function resolveSsh(
  connection: HostConnection,
  configFile: string | undefined,
): Promise<Resolved> {
  const args = destinationOptions({ ...connection, configFile });
  const child = startSsh(["-G", ...args, destinationOf(connection)]);
  child.stdin?.end();
  const output = collect(child);
  const code = await endOf(child);
  if (code !== 0) throw noClient(connection, output.stderr());
  const value = (name: string) =>
    new RegExp(`^${name} (.*)$`, "m").exec(output.stdout())?.[1]?.trim() ?? "";
  return {
    user: value("user"),
    port: value("port"),
    jumps: value("proxyjump") !== "" || value("proxycommand") !== "",
    knownHosts: pathsOf(value("userknownhostsfile"))
      .map(expandHome)
      .filter((file) => file !== "/dev/null"),
  };
}

/**
 * Paths that ssh prints without the quotes that kept their blanks together: as many words are one path as make a file
 * that is there, and otherwise each is one. How a word begins says nothing: `known` and `%h_known` are paths as well.
 */
function pathsOf(printed: string): string[] {
  const words = printed.split(" ");
  const paths: string[] = [];
  while (words.length > 0) {
    let count = words.length;
    while (count > 1 && !existsSync(expandHome(words.slice(0, count).join(" ")))) count--;
    paths.push(words.splice(0, count).join(" "));
  }
  return paths.filter(Boolean);
}
