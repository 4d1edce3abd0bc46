import { type ChildProcess, spawn } from "node:child_process";
import { type ChildOutput, collect, endOf, feed, onceAborted, Slots } from "./child.ts";
import type { ExecOptions, ExecResult, HostConnection, HostShell } from "./shell.ts";
import {
  brokenOff,
  checkConnection,
  lastLines,
  noClient,
  noRoot,
  sshError,
  tooFewSessions,
} from "./ssh-errors.ts";
import { SshFiles } from "./ssh-files.ts";
import {
  destinationOf,
  destinationOptions,
  expandHome,
  masterOptions,
  quoteArgv,
  sessionOptions,
} from "./ssh-options.ts";

export interface SshOptions {
  /** Used instead of ~/.ssh/config. @default OPENCLAW_FLEET_SSH_CONFIG, if set */
  readonly configFile?: string;
  /** Longest wait for a connection to stand, ms: ssh's own limits end before the login. @default 45 000 */
  readonly connectMs?: number;
}

/** A shell on a host that also says which key the host showed. */
export interface SshShell extends HostShell {
  /** Public host key, type and base64. Connects if that was not done yet. */
  hostKey(): Promise<string>;
}

/** Longest wait for a login, ms. */
const CONNECT_MS = 45_000;
/** sshd takes ten sessions on a connection by default; one holds it open. */
const SESSIONS = 8;
/** The first word that the held session writes. */
const READY = "openclaw-fleet-login";
/** ssh's own exit code when a connection failed. */
const SSH_FAILED = 255;

/** What ssh says when sshd takes no further session. */
const REFUSED = /session open refused by peer/i;

/** Keeps the shell that runs a command, so that its end by a signal is a number: see HostShell. */
const RUN = '"$@"; exit $?';

/**
 * A host through OpenSSH's own client, so that agents, jump hosts and ~/.ssh/config work as a person is used
 * to. One connection is kept, all commands share it; it ends with this process however that ends. Nothing ever
 * asks: what would need an answer is an error. Commands run as root, by `sudo -n` where the login is not.
 *
 * A connection without `hostKey` takes the host's key at first sight, unless this machine's known_hosts has
 * another; {@link SshShell.hostKey} returns it, to be given as `hostKey` from then on.
 */
export function openSsh(connection: HostConnection, options: SshOptions = {}): SshShell {
  return new OpenSshShell(connection, options);
}

interface Master {
  readonly files: SshFiles;
  readonly child: ChildProcess;
  readonly output: ChildOutput;
  readonly ended: Promise<number>;
  readonly hostKey: string;
  /** True when the login is not root's. */
  readonly sudo: boolean;
  over: boolean;
}

class OpenSshShell implements SshShell {
  readonly #connection: HostConnection;
  readonly #options: SshOptions;
  readonly #slots = new Slots(SESSIONS);
  #files: SshFiles | null = null;
  #master: Promise<Master> | null = null;
  #closed = false;

  constructor(connection: HostConnection, options: SshOptions) {
    this.#connection = connection;
    const configFile = options.configFile ?? process.env.OPENCLAW_FLEET_SSH_CONFIG;
    this.#options = configFile === undefined ? options : { ...options, configFile };
  }

  async hostKey(): Promise<string> {
    return (await this.#connected()).hostKey;
  }

  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    options.signal?.throwIfAborted();
    const master = await onceAborted(this.#connected(), options.signal);
    return await this.#run(master, argv, chunksOf(options.stdin), options);
  }

  async put(source: AsyncIterable<Uint8Array>, path: string, mode: string): Promise<void> {
    const master = await this.#connected();
    const part = `${path}.openclaw-part`;
    let sent = 0;
    const counted = async function* () {
      for await (const chunk of source) {
        sent += chunk.byteLength;
        yield chunk;
      }
    };
    // A connection that breaks looks like the end of the file to the host: the size decides.
    const receive = 'umask 077; cat > "$1" && wc -c < "$1"';
    const place = 'sync "$1" && chmod "$3" "$1" && mv -f "$1" "$2"';
    try {
      const written = await this.#run(master, ["sh", "-c", receive, "sh", part], counted(), {});
      const got = Number(written.stdout.trim());
      if (written.code !== 0 || got !== sent) {
        throw this.#notWritten(path, written.stderr || `${got} of ${sent} bytes arrived`);
      }
      const placed = await this.#run(master, ["sh", "-c", place, "sh", part, path, mode], [], {});
      if (placed.code !== 0) throw this.#notWritten(path, placed.stderr);
    } catch (error) {
      // It may hold a secret. A host that is away keeps it until the next try.
      await this.#run(master, ["rm", "-f", part], [], {}).catch(() => {});
      throw error;
    }
  }

  #notWritten(path: string, stderr: string): Error {
    return new Error(
      `host ${this.#connection.name}: ${path} was not written: ${lastLines(stderr)}`,
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    const master = await this.#master?.catch(() => null);
    if (master) {
      master.child.stdin?.end();
      // Its end takes the sessions with it; a connection that stands still is not waited for.
      master.child.kill("SIGTERM");
      await master.ended;
    }
    this.#files?.remove();
  }

  #connected(): Promise<Master> {
    if (this.#closed) throw new Error(`the connection to host ${this.#connection.name} was closed`);
    if (this.#master) return this.#master;
    const starting = this.#connect().then((master) => {
      void master.ended.then(() => {
        master.over = true;
        if (this.#master === starting) this.#master = null;
      });
      return master;
    });
    this.#master = starting;
    // A host that was away may be back at the next command.
    starting.catch(() => {
      if (this.#master === starting) this.#master = null;
    });
    return starting;
  }

  async #connect(): Promise<Master> {
    const connection = this.#connection;
    checkConnection(connection);
    this.#files ??= new SshFiles();
    const files = this.#files;
    files.expect(connection.hostKey);
    const resolved = await this.#resolve();
    const { configFile } = this.#options;
    const args = masterOptions(connection, files, { configFile, knownHosts: resolved.knownHosts });
    // While our end of its input is open the connection stands, so it cannot outlive this process. What it
    // writes first tells that it stands.
    const child = ssh([...args, destinationOf(connection), `echo ${READY} $(id -u) && exec cat`]);
    const ready = Promise.withResolvers<string>();
    const output = collect(child, {
      // A login may write lines of its own first.
      onLine: (line) => line.startsWith(`${READY} `) && ready.resolve(line.slice(READY.length + 1)),
    });
    const ended = endOf(child);
    const limit = setTimeout(() => child.kill(), this.#options.connectMs ?? CONNECT_MS);
    const first = await Promise.race([ready.promise, ended]);
    clearTimeout(limit);
    if (typeof first === "number") {
      const failed = { connection, stderr: output.stderr(), seen: files.seenKey() };
      throw sshError({ ...failed, ...resolved });
    }
    const sudo = first.trim() !== "0";
    const master: Master = {
      ...{ files, child, output, ended, sudo, over: false },
      hostKey: files.seenKey(),
    };
    try {
      if (sudo) await this.#checkSudo(master, resolved.user);
    } catch (error) {
      child.kill();
      throw error;
    }
    return master;
  }

  async #checkSudo(master: Master, user: string): Promise<void> {
    const { code, stderr } = await this.#run(master, ["true"], [], {});
    if (code === 0) return;
    throw noRoot(this.#connection, user, lastLines(stderr) || `sudo ended with ${code}`);
  }

  /** Where ssh would go, and which files of known keys it would ask. */
  async #resolve() {
    const connection = this.#connection;
    const args = destinationOptions({ ...connection, configFile: this.#options.configFile });
    const child = ssh(["-G", ...args, destinationOf(connection)]);
    child.stdin?.end();
    const output = collect(child);
    const code = await endOf(child);
    if (code !== 0) throw noClient(connection, output.stderr());
    const value = (name: string) =>
      new RegExp(`^${name} (.*)$`, "m").exec(output.stdout())?.[1]?.trim() ?? "";
    const files = value("userknownhostsfile").split(" ").filter(Boolean);
    return {
      user: value("user"),
      port: value("port"),
      jumps: value("proxyjump") !== "" || value("proxycommand") !== "",
      knownHosts: files.filter((file) => file !== "/dev/null").map(expandHome),
    };
  }

  async #run(
    master: Master,
    argv: readonly string[],
    stdin: Iterable<string | Uint8Array> | AsyncIterable<Uint8Array>,
    { onLine, signal }: ExecOptions,
  ): Promise<ExecResult> {
    return await this.#slots.use(async () => {
      signal?.throwIfAborted();
      const command = [
        ...(master.sudo ? ["sudo", "-n", "--"] : []),
        "sh",
        "-c",
        RUN,
        "sh",
        ...argv,
      ];
      const child = ssh([
        ...sessionOptions(master.files),
        ...[destinationOf(this.#connection), quoteArgv(command)],
      ]);
      const output = collect(child, { onLine });
      try {
        const [code, fed] = await onceAborted(
          Promise.all([endOf(child), feed(child, stdin)]),
          signal,
        );
        if (code === SSH_FAILED) {
          if (REFUSED.test(output.stderr())) throw tooFewSessions(this.#connection);
          if (await this.#broken(master)) {
            throw brokenOff(this.#connection, master.output.stderr() || output.stderr());
          }
        }
        if (fed) throw fed;
        return { code, stdout: output.stdout(), stderr: output.stderr() };
      } catch (error) {
        // The shared connection holds its pipes until the command on the host ends: nobody waits for that.
        child.kill();
        for (const pipe of child.stdio) pipe?.destroy();
        throw error;
      }
    });
  }

  /** True when the connection itself is gone: a command may also end with 255. */
  async #broken(master: Master): Promise<boolean> {
    if (master.over) return true;
    const child = ssh([
      "-O",
      "check",
      ...sessionOptions(master.files),
      destinationOf(this.#connection),
    ]);
    child.stdin?.end();
    collect(child);
    return (await endOf(child)) !== 0;
  }
}

function chunksOf(stdin: ExecOptions["stdin"]) {
  if (stdin === undefined) return [];
  return typeof stdin === "string" || stdin instanceof Uint8Array ? [stdin] : stdin;
}

/** In a session of its own, so that nothing can ask at the terminal. */
function ssh(args: readonly string[]): ChildProcess {
  return spawn("ssh", args, {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, SSH_ASKPASS_REQUIRE: "never", LC_ALL: "C" },
  });
}
