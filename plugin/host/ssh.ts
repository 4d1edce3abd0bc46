import type { ChildProcess } from "node:child_process";
import { type ChildOutput, collect, endOf, feed, onceAborted, Slots } from "./child.ts";
import { sessionKey } from "./session-key.ts";
import type { ExecOptions, ExecResult, HostConnection, HostShell, Patience } from "./shell.ts";
import { endSsh, resolveSsh, startSsh } from "./ssh-client.ts";
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
import { destinationOf, masterOptions, quoteArgv, sessionOptions } from "./ssh-options.ts";
import { untilBoots } from "./ssh-wait.ts";

export interface SshOptions extends Patience {
  /** Used instead of ~/.ssh/config. @default OPENCLAW_FLEET_SSH_CONFIG, if set */
  readonly configFile?: string;
  /**
   * Longest wait for a connection to stand, ms: ssh's own limits end before the login.
   * @default 45 000; 90 000 for a session
   */
  readonly connectMs?: number;
}

/** A shell on a host that also says which key the host showed. */
export interface SshShell extends HostShell {
  /** Public host key, type and base64. Connects if that was not done yet. */
  hostKey(): Promise<string>;
}

/** Longest wait for a login, ms. */
const CONNECT_MS = 45_000;
/** The same for a session: the AWS CLI starts twice before, and asks AWS. */
const SESSION_MS = 90_000;
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
 * another; {@link SshShell.hostKey} returns it, to be given as `hostKey` from then on. One with a `session` goes
 * through AWS Systems Manager (session-proxy.ts).
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
  readonly #closing = new AbortController();
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
    this.#closing.abort();
    const master = await this.#master?.catch(() => null);
    if (master) {
      master.child.stdin?.end();
      // Its end takes the sessions with it; a connection that stands still is not waited for.
      master.child.kill("SIGTERM");
      await master.ended;
      if (this.#connection.session) endSsh(master.child);
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
    const key = connection.session && (await this.#sessionKey());
    const { signal } = this.#closing;
    const { name } = connection;
    return await untilBoots(() => this.#try(key), { ...this.#options, name, signal });
  }

  async #sessionKey(): Promise<string> {
    try {
      return await sessionKey();
    } catch (error) {
      throw noClient(this.#connection, (error as Error).message);
    }
  }

  async #try(sessionKey: string | undefined): Promise<Master> {
    const connection = this.#connection;
    this.#files ??= new SshFiles();
    const files = this.#files;
    files.expect(connection);
    const { configFile } = this.#options;
    const resolved = await resolveSsh(connection, configFile);
    const { knownHosts } = resolved;
    const args = masterOptions(connection, files, { configFile, knownHosts, sessionKey });
    // While our end of its input is open the connection stands, so it cannot outlive this process. What it
    // writes first tells that it stands.
    const child = startSsh([
      ...args,
      destinationOf(connection),
      `echo ${READY} $(id -u) && exec cat`,
    ]);
    const ready = Promise.withResolvers<string>();
    const output = collect(child, {
      // A login may write lines of its own first.
      onLine: (line) => line.startsWith(`${READY} `) && ready.resolve(line.slice(READY.length + 1)),
    });
    const ended = endOf(child);
    const give = () => (connection.session ? endSsh(child) : child.kill());
    const longest = connection.session ? SESSION_MS : CONNECT_MS;
    const limit = setTimeout(give, this.#options.connectMs ?? longest);
    const { signal } = this.#closing;
    signal.addEventListener("abort", give, { once: true });
    if (signal.aborted) give();
    const first = await Promise.race([ready.promise, ended]);
    signal.removeEventListener("abort", give);
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
      const child = startSsh([
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
    const child = startSsh([
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
