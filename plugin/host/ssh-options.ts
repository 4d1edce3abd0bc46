import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import type { HostConnection } from "./shell.ts";
import { KEY_ALIAS, type SshFiles } from "./ssh-files.ts";

/** Longest wait for a host to take a connection, s. */
const CONNECT_SECONDS = 10;
/** A host that says nothing for three of these is gone, s. */
const ALIVE_SECONDS = 10;

/**
 * Options in front of the destination for the one connection that all commands share. Nothing of the user's
 * own configuration is put aside but what would ask somebody, or open something besides the commands.
 */
export function masterOptions(
  connection: HostConnection,
  files: SshFiles,
  { configFile, knownHosts }: { configFile?: string | undefined; knownHosts: readonly string[] },
): string[] {
  const { user, port, identityFile, jump, hostKey } = connection;
  const known = hostKey === undefined ? [files.known, ...knownHosts] : [files.known];
  const options = {
    BatchMode: "yes",
    ConnectTimeout: CONNECT_SECONDS,
    ServerAliveInterval: ALIVE_SECONDS,
    ServerAliveCountMax: 3,
    ControlMaster: "yes",
    ControlPath: quoted(files.socket),
    ControlPersist: "no",
    StrictHostKeyChecking: hostKey === undefined ? "accept-new" : "yes",
    UserKnownHostsFile: known.map(quoted).join(" "),
    // Tells which key the host showed, whether or not it was known.
    KnownHostsCommand: `/bin/sh -c "test %I = ORDER || echo %t %K > '${escaped(files.seen)}'"`,
    UpdateHostKeys: "no",
    HashKnownHosts: "no",
    RequestTTY: "no",
    RemoteCommand: "none",
    ClearAllForwardings: "yes",
    ForwardAgent: "no",
    ForwardX11: "no",
    PermitLocalCommand: "no",
    LogLevel: "ERROR",
    ...(hostKey === undefined
      ? {}
      : { HostKeyAlias: KEY_ALIAS, GlobalKnownHostsFile: "/dev/null" }),
    // With a key named, an agent full of others must not use up the tries.
    ...(identityFile === undefined ? {} : { IdentitiesOnly: "yes" }),
  };
  return [
    ...destinationOptions({ configFile, user, port, jump, identityFile }),
    ...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]),
  ];
}

/** Options that decide where a connection goes, and as whom. */
export function destinationOptions(given: {
  readonly configFile?: string | undefined;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  readonly jump?: string | undefined;
  readonly identityFile?: string | undefined;
}): string[] {
  return [
    ...(given.configFile === undefined ? [] : ["-F", given.configFile]),
    ...(given.user === undefined ? [] : ["-l", given.user]),
    ...(given.port === undefined ? [] : ["-p", String(given.port)]),
    ...(given.jump === undefined ? [] : ["-J", given.jump]),
    ...(given.identityFile === undefined ? [] : ["-i", expandHome(given.identityFile)]),
  ];
}

/** Options of a command that goes over the shared connection, or fails: it never makes one of its own. */
export const sessionOptions = (files: SshFiles): string[] => [
  ...["-F", "none", "-S", files.socket, "-T"],
  ...["-o", "BatchMode=yes", "-o", "ProxyCommand=false", "-o", "LogLevel=ERROR"],
];

/** What is connected to: the name of a Host block, or the address. */
export const destinationOf = ({ sshConfigHost, address }: HostConnection): string =>
  sshConfigHost ?? address;

/** True for text such as `ssh-ed25519 AAAA… comment`. */
export const isHostKey = (text: string): boolean =>
  /^[a-z0-9@.-]+ [A-Za-z0-9+/]{40,}={0,3}( .*)?$/.test(text.trim());

/** A path of the settings: `~/` is the user's home, a relative one begins where the settings are. */
export function expandHome(path: string): string {
  if (path === "~" || path.startsWith("~/")) return join(homedir(), path.slice(1));
  return resolve(PROJECT_ROOT, path);
}

/** The command as one word of text for the shell that sshd starts. */
export const quoteArgv = (argv: readonly string[]): string =>
  argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");

/** A path among other text of an option, where % begins what ssh replaces. */
const escaped = (path: string): string => path.replaceAll("%", "%%");

/** A value of a configuration option that may hold blanks. */
const quoted = (path: string): string => `"${escaped(path)}"`;
