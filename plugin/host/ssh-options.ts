import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import type { HostConnection, HostSession } from "./shell.ts";
import { keyAlias, type SshFiles } from "./ssh-files.ts";

/** Longest wait for a host to take a connection, s. */
const CONNECT_SECONDS = 10;
/** The same for a session, which asks AWS twice before. */
const SESSION_SECONDS = 60;
/** A host that says nothing for three of these is gone, s. */
const ALIVE_SECONDS = 10;

/**
 * Options in front of the destination for the one connection that all commands share. Nothing of the user's
 * own configuration is put aside but what would ask somebody, or open something besides the commands.
 */
export function masterOptions(
  connection: HostConnection,
  files: SshFiles,
  given: {
    readonly configFile?: string | undefined;
    /** Files of known keys that this machine's ssh asks. */
    readonly knownHosts: readonly string[];
    /** Of a connection with a session: {@link sessionKey}. */
    readonly sessionKey?: string | undefined;
  },
): string[] {
  const { identityFile, hostKey, session } = connection;
  // A session is to the machine that AWS says it is: what was known under an address says nothing of it.
  const apart = hostKey !== undefined || session !== undefined;
  const known = apart ? [files.known] : [files.known, ...given.knownHosts];
  const options = {
    BatchMode: "yes",
    ConnectTimeout: session ? SESSION_SECONDS : CONNECT_SECONDS,
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
    ...(apart ? { HostKeyAlias: keyAlias(connection), GlobalKnownHostsFile: "/dev/null" } : {}),
    // With a key named, an agent full of others must not use up the tries.
    ...(identityFile === undefined && !session ? {} : { IdentitiesOnly: "yes" }),
    ...(session ? { IdentityAgent: "none" } : {}),
    ...(session && given.sessionKey !== undefined
      ? {
          IdentityFile: quoted(given.sessionKey),
          ProxyCommand: proxyCommand(connection, session, given.sessionKey),
        }
      : {}),
  };
  return [
    ...destinationOptions({ ...connection, ...given }),
    ...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]),
  ];
}

/** ssh hands it to the user's shell, after it replaced what % begins. */
function proxyCommand(
  { user = SESSION_USER, port = 22 }: HostConnection,
  { instanceId, region }: HostSession,
  key: string,
): string {
  // The API by which it becomes another program is experimental, and nobody is to read that it is.
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", PROXY];
  const to = ["--instance", instanceId, "--region", region, "--port", String(port)];
  return escaped(quoteArgv([...node, ...to, "--user", user, "--key", `${key}.pub`]));
}

const PROXY = fileURLToPath(new URL("./session-proxy.ts", import.meta.url));

/** The user of Ubuntu's images for EC2. */
const SESSION_USER = "ubuntu";

/** Options that decide where a connection goes, and as whom. */
export function destinationOptions(given: {
  readonly configFile?: string | undefined;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  readonly jump?: string | undefined;
  readonly identityFile?: string | undefined;
  readonly session?: HostSession | undefined;
}): string[] {
  const { port, session } = given;
  const user = given.user ?? (session && SESSION_USER);
  const identity = session ? undefined : given.identityFile;
  // What somebody set for addresses of their own network is not meant for such a machine.
  const configFile = given.configFile ?? (session && "none");
  return [
    ...(configFile === undefined ? [] : ["-F", configFile]),
    ...(user === undefined ? [] : ["-l", user]),
    ...(port === undefined ? [] : ["-p", String(port)]),
    ...(given.jump === undefined || session ? [] : ["-J", given.jump]),
    // Not by -i, which warns of a path in which % is written as ssh wants it.
    ...(identity === undefined ? [] : ["-o", `IdentityFile=${quoted(expandHome(identity))}`]),
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

/** A path as a value of a configuration option: it may hold blanks, and % means itself. */
export const quoted = (path: string): string => `"${escaped(path)}"`;
