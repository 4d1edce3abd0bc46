/**
 * A way to run commands on one host and to put files there, whatever carries it (OpenSSH's own client in
 * service, a local process in tests). Made for a host's connection settings; commands run as root there.
 */
export interface HostShell {
  /**
   * Runs a command (argv, never interpreted by a shell) and resolves with how it ended, whatever its exit
   * code. Rejects with {@link HostUnreachable} when the host could not be reached or the connection broke
   * off, with the signal's reason when it fires (the command on the host may then still run).
   */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /**
   * Writes what a stream holds into a file on the host, complete or not at all (a temporary file beside it,
   * then rename). Folders above it must be there.
   * @param mode octal, four digits: "0644"
   */
  put(source: AsyncIterable<Uint8Array>, path: string, mode: string): Promise<void>;
  /** Public key that the host shows, type and base64; connects. Missing where there is no such thing. */
  hostKey?(): Promise<string>;
  /** Ends what is kept open. */
  close(): Promise<void>;
}

export interface ExecOptions {
  /** Given to the command's input, then its end. The only way for secrets. @default nothing */
  readonly stdin?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Called with each line of its standard output as it comes, without the line's end. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  /** Exit code; 128 and the signal's number when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The host does not answer, refuses us, or is not the one that was known. The message says what to do. */
export class HostUnreachable extends Error {
  override readonly name = "HostUnreachable";
  /** It may come right by itself: the machine boots. */
  readonly passes: boolean;
  constructor(message: string, passes = false) {
    super(message);
    this.passes = passes;
  }
}

/** How a host is reached, as the stack's settings say it. Plain data; no secret in it. */
export interface HostConnection {
  /** The host's name in the fleet. */
  readonly name: string;
  /** IP address or DNS name. */
  readonly address: string;
  /** As OpenSSH decides when left out. */
  readonly user?: string;
  /** @default 22 */
  readonly port?: number;
  /** Private key file on this machine. */
  readonly identityFile?: string;
  /** Name of a Host block in ~/.ssh/config. */
  readonly sshConfigHost?: string;
  /** Jump host, as ssh -J takes it. */
  readonly jump?: string;
  /** Its public host key, e.g. `ssh-ed25519 AAAA…`. */
  readonly hostKey?: string;
  /**
   * Reached by a session of AWS Systems Manager instead of a port of its own; `address` is then what the
   * fleet calls it by, and is not dialled from here.
   */
  readonly session?: HostSession;
}

/** A machine of EC2 that Systems Manager reaches. Another id is another machine, whatever it is called. */
export interface HostSession {
  /** `i-…`. */
  readonly instanceId: string;
  readonly region: string;
}

/** For a host that may just be booting. Only one that is reached through a session is waited for. */
export interface Patience {
  /** How long it is tried again for, ms. @default 0: one try */
  readonly bootMs?: number;
  /** Told when it is waited for. */
  readonly say?: (line: string) => void;
}

/** Opens a way to a host; nothing is sent before the first command. */
export type OpenShell = (connection: HostConnection, patience?: Patience) => HostShell;
