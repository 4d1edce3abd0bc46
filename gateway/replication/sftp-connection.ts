import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { type Body, EXTENSION, type Packet, PacketReader, STATUS, TYPE } from "./sftp-wire.ts";

export interface SftpServer {
  address: string;
  port: number;
  user: string;
  identityFile: string;
  knownHostsFile: string;
}

/** A request without an answer for this long means that the server or the way to it is gone, ms. */
const ANSWER_MS = 10_000;
const CONNECT_SECONDS = 4;
/** After a connection failed, the next one is not tried before this, ms: many callers would each wait in vain. */
const REST_MS = 1_000;
/** Of ssh's own words, the last so many characters tell why. */
const WORDS = 400;

/** The server's refusal of one request; the connection is well. */
export class SftpRefusal extends Error {
  override readonly name = "SftpRefusal";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Arguments of OpenSSH's client for an SFTP session. Nothing of the user's own configuration counts. */
export function sshArguments(server: SftpServer): string[] {
  const options = {
    BatchMode: "yes",
    ClearAllForwardings: "yes",
    ConnectTimeout: CONNECT_SECONDS,
    ControlPath: "none",
    GlobalKnownHostsFile: "/dev/null",
    HostKeyAlias: server.address,
    IdentitiesOnly: "yes",
    IdentityAgent: "none",
    IdentityFile: server.identityFile,
    LogLevel: "ERROR",
    PreferredAuthentications: "publickey",
    ServerAliveCountMax: 2,
    ServerAliveInterval: 3,
    StrictHostKeyChecking: "yes",
    UserKnownHostsFile: server.knownHostsFile,
  };
  return [
    ...["-F", "none", "-T", "-p", String(server.port), "-l", server.user],
    ...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]),
    ...["-s", "--", server.address, "sftp"],
  ];
}

interface Waiting {
  resolve(packet: Packet): void;
  reject(error: Error): void;
}

/** One session with an SFTP server, opened at first use and again after it broke. Requests may overlap. */
export class SftpConnection {
  readonly #server: SftpServer;
  #session: Session | null = null;
  #failed: { at: number; error: Error } | null = null;

  constructor(server: SftpServer) {
    this.#server = server;
  }

  /** Answers with what came; throws {@link SftpRefusal}, and any other error when the server is out of reach. */
  async request(type: number, body: Body): Promise<Packet> {
    const session = await this.#open();
    return session.request(type, body);
  }

  close(): void {
    this.#session?.end(new Error("closed"));
    this.#session = null;
  }

  async #open(): Promise<Session> {
    if (this.#session && !this.#session.over) {
      await this.#session.ready;
      return this.#session;
    }
    if (this.#failed && performance.now() - this.#failed.at < REST_MS) throw this.#failed.error;
    const session = new Session(this.#server);
    this.#session = session;
    try {
      await session.ready;
      this.#failed = null;
      return session;
    } catch (error) {
      this.#failed = { at: performance.now(), error: error as Error };
      throw error;
    }
  }
}

class Session {
  readonly ready: Promise<void>;
  over = false;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #reader = new PacketReader();
  readonly #waiting = new Map<number, Waiting>();
  readonly #begun = Promise.withResolvers<void>();
  #said = "";
  #nextId = 1;
  /** When the oldest request that waits was sent, or the last answer came. */
  #since = performance.now();
  readonly #watch: NodeJS.Timeout;

  constructor(server: SftpServer) {
    this.ready = this.#begun.promise;
    this.ready.catch(() => {});
    this.#child = spawn("ssh", sshArguments(server), { stdio: "pipe" });
    this.#child.stdout.on("data", (bytes: Buffer) => this.#hear(bytes));
    this.#child.stderr.on("data", (bytes: Buffer) => {
      this.#said = (this.#said + bytes).slice(-WORDS);
    });
    this.#child.stdin.on("error", () => {});
    this.#child.on("error", (error) => this.end(error));
    this.#child.on("close", () => {
      this.end(new Error(this.#said.trim() || "the connection ended"));
    });
    this.#child.stdin.write(Buffer.from([0, 0, 0, 5, TYPE.init, 0, 0, 0, 3]));
    this.#watch = setInterval(() => {
      if (performance.now() - this.#since < ANSWER_MS) return;
      if (this.#waiting.size > 0 || !this.over) this.#silent();
    }, 1_000);
    this.#watch.unref();
  }

  request(type: number, body: Body): Promise<Packet> {
    if (this.over) return Promise.reject(new Error("the connection ended"));
    const id = this.#nextId++;
    if (this.#waiting.size === 0) this.#since = performance.now();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin.write(body.packet(type, id));
    });
  }

  end(error: Error): void {
    if (this.over) return;
    this.over = true;
    clearInterval(this.#watch);
    this.#begun.reject(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#child.kill("SIGKILL");
  }

  #silent(): void {
    if (this.#waiting.size === 0 && this.#settled) {
      this.#since = performance.now();
      return;
    }
    this.end(new Error(`no answer for ${ANSWER_MS / 1_000} s`));
  }

  #settled = false;

  #hear(bytes: Buffer): void {
    this.#since = performance.now();
    try {
      for (const packet of this.#reader.push(bytes)) this.#take(packet);
    } catch (error) {
      this.end(error as Error);
    }
  }

  #take(packet: Packet): void {
    if (packet.type === TYPE.version) {
      const offered: string[] = [];
      while (packet.fields.left > 0) {
        offered.push(packet.fields.text());
        packet.fields.text();
      }
      const missing = Object.values(EXTENSION).filter((name) => !offered.includes(name));
      if (missing.length > 0) throw new Error(`its SFTP server has no ${missing.join(", ")}`);
      this.#settled = true;
      this.#begun.resolve();
      return;
    }
    const waiting = this.#waiting.get(packet.id);
    this.#waiting.delete(packet.id);
    if (packet.type !== TYPE.status) {
      waiting?.resolve(packet);
      return;
    }
    const code = packet.fields.u32();
    if (code === STATUS.ok) waiting?.resolve(packet);
    else waiting?.reject(new SftpRefusal(code, packet.fields.text()));
  }
}
