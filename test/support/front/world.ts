import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request, type Server } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTls,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { type ClientOptions, WebSocket } from "ws";
import { type FrontPlan, type FrontSettings, planFront } from "../../../components/front/plan.ts";
import type { HostContext } from "../../../components/host/types.ts";
import { eventually } from "../eventually.ts";
import { freePorts } from "../free-ports.ts";
import { HostWorld } from "../host-world.ts";

/** Starts on a loaded machine may take this long, ms. */
const START_MS = 60_000;

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/** How a kind of front is run from its plan, in a folder, as whoever runs the tests. */
export interface FrontKind {
  readonly name: "nginx" | "caddy";
  /** Whether a body whose first router was not there goes to another; else its sender is told to send it again. */
  readonly keepsBodies: boolean;
  /** Whether a head that is too large is refused in our form; Go's server has words of its own for that. */
  readonly wordsOnHeads: boolean;
  /** Writes the files and gives the commands. */
  prepare(world: HostWorld, context: HostContext, plan: FrontPlan): Promise<FrontCommands>;
}

export interface FrontCommands {
  readonly run: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** As the unit's reload does; null: the signal. */
  readonly reload: readonly string[] | "SIGHUP";
  readonly test: readonly string[];
  readonly accessLog: string;
}

/** A front of the first host before the routers of all of them. */
export class FrontWorld {
  readonly hosts: HostWorld;
  readonly kind: FrontKind;
  readonly http: number;
  readonly https: number;
  #commands: FrontCommands | null = null;
  #child: ChildProcess | null = null;
  #said = "";
  readonly #open: { close(): void }[] = [];

  private constructor(hosts: HostWorld, kind: FrontKind, ports: number[]) {
    this.hosts = hosts;
    this.kind = kind;
    [this.http, this.https] = ports as [number, number];
  }

  static async make(kind: FrontKind, count = 2): Promise<FrontWorld> {
    const hosts = await HostWorld.make(count);
    return new FrontWorld(hosts, kind, await freePorts(["0.0.0.0"], 2));
  }

  plan(over: Partial<FrontSettings> = {}): FrontPlan {
    return planFront(this.hosts.hosts, {
      names: ["localhost.example"],
      certificate: { kind: "own" },
      httpPort: this.http,
      httpsPort: this.https,
      ipv6: false,
      hosts: ["a"],
      ...over,
    });
  }

  /** Starts the front, or, once it runs, gives it this configuration. */
  async apply(plan: FrontPlan = this.plan()): Promise<void> {
    this.#commands = await this.kind.prepare(this.hosts, this.hosts.context("a"), plan);
    if (this.#child) {
      const { reload } = this.#commands;
      if (reload === "SIGHUP") this.#child.kill("SIGHUP");
      else await this.#once(reload);
      return;
    }
    const [program = "", ...args] = this.#commands.run;
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...this.#commands.env },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk) => {
        this.#said += String(chunk);
      });
    }
    this.#child = child;
    living.add(child);
    child.once("exit", () => living.delete(child));
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`the front ended:\n${this.#said}`);
      const socket = connectTcp(this.https, "127.0.0.1");
      try {
        await once(socket, "connect");
      } finally {
        socket.destroy();
      }
    }, START_MS);
  }

  async #once([program = "", ...args]: readonly string[]): Promise<void> {
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...this.#commands?.env },
    });
    let said = "";
    child.stderr?.on("data", (chunk) => {
      said += String(chunk);
    });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) throw new Error(`${program} ended with ${code}: ${said}`);
  }

  /** What the program itself says of the configuration. */
  test(): Promise<void> {
    return this.#once(this.#commands?.test ?? []);
  }

  accessLog(): string {
    return readFileSync(this.#commands?.accessLog ?? "", "utf8");
  }

  get said(): string {
    return this.#said;
  }

  /** A router's stand-in on a host: TLS 1.3 both ways, as the router has it. */
  async router(
    name: string,
    handlers: RouterHandlers,
    authority = this.hosts.authority,
  ): Promise<TestRouter> {
    const { address } = this.hosts.context(name).self;
    const pair =
      authority === this.hosts.authority
        ? this.hosts.pair(name)
        : await this.hosts.certify(name, authority);
    const router = new TestRouter(name, pair, this.hosts.authority.cert, handlers);
    await router.listen(address, this.hosts.ports.router);
    this.#open.push(router);
    return router;
  }

  /** TLS, as a router has it, before a plain port of this machine. */
  async pipe(name: string, port: () => number): Promise<void> {
    const server = createTls(
      {
        ...this.hosts.pair(name),
        ca: this.hosts.authority.cert,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: "TLSv1.3",
      },
      (socket) => {
        const inner = connectTcp({ port: port(), host: "127.0.0.1" });
        socket.pipe(inner).pipe(socket);
        for (const [one, other] of [
          [socket, inner],
          [inner, socket],
        ] as const) {
          one.on("error", () => other.destroy());
          one.on("close", () => other.destroy());
        }
      },
    );
    server.on("tlsClientError", () => {});
    server.listen(this.hosts.ports.router, this.hosts.context(name).self.address);
    await once(server, "listening");
    this.#open.push({ close: () => (server as TlsServer).close() });
  }

  async close(): Promise<void> {
    for (const each of this.#open) each.close();
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await gone;
      clearTimeout(timer);
    }
    this.hosts.close();
  }
}

export interface RouterHandlers {
  request(req: IncomingMessage, res: ServerResponse, body: string, router: TestRouter): void;
  upgrade?(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** One router's stand-in, which keeps what reached it. */
export class TestRouter {
  readonly name: string;
  readonly seen: {
    method: string;
    url: string;
    headers: IncomingMessage["headers"];
    body: string;
  }[] = [];
  /** Names in the certificates of those who connected. */
  readonly callers = new Set<string>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(
    name: string,
    pair: { cert: string; key: string },
    ca: string,
    handlers: RouterHandlers,
  ) {
    this.name = name;
    this.#server = createServer({
      ...pair,
      ca,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.3",
      maxHeaderSize: 16 * 1024,
      keepAliveTimeout: 3_600_000,
    });
    this.#server.on("secureConnection", (socket: TLSSocket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      this.callers.add(String(socket.getPeerCertificate().subject?.CN));
    });
    this.#server.on("tlsClientError", () => {});
    this.#server.on("request", (req, res) => {
      let body = "";
      req.setEncoding("utf8");
      req.on("error", () => {});
      req.on("data", (chunk: string) => {
        body += chunk;
      });
      req.on("end", () => {
        this.seen.push({
          method: req.method ?? "",
          url: req.url ?? "",
          headers: req.headers,
          body,
        });
        handlers.request(req, res, body, this);
      });
    });
    if (handlers.upgrade) this.#server.on("upgrade", handlers.upgrade);
  }

  async listen(address: string, port: number): Promise<void> {
    this.#server.listen(port, address);
    await once(this.#server, "listening");
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

export interface Reply {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of any shape, looked at by expectations
  json: any;
  serial: string;
}

export interface Question {
  method?: string;
  body?: string;
  headers?: Record<string, string>;
  servername?: string;
  onText?: (all: string) => void;
  onHead?: () => void;
}

/** One HTTPS request over HTTP/1.1, on a connection of its own, without a look at who signed. */
export function say(port: number, path: string, question: Question = {}): Promise<Reply> {
  const { body, method = body === undefined ? "GET" : "POST", headers, servername } = question;
  return new Promise((resolve, reject) => {
    const req = request(
      {
        host: "127.0.0.1",
        port,
        path,
        method,
        headers: {
          host: servername ?? "localhost.example",
          ...(body === undefined || headers?.["transfer-encoding"]
            ? {}
            : { "content-length": String(Buffer.byteLength(body)) }),
          ...headers,
        },
        servername: servername ?? "localhost.example",
        rejectUnauthorized: false,
        agent: new Agent({ keepAlive: false, maxCachedSessions: 0 }),
      },
      (res) => {
        question.onHead?.();
        const serial = (res.socket as TLSSocket).getPeerCertificate().serialNumber;
        let text = "";
        res.setEncoding("utf8");
        res.on("data", (chunk: string) => {
          text += chunk;
          question.onText?.(text);
        });
        res.on("error", reject);
        res.on("end", () => {
          let json: unknown;
          try {
            json = JSON.parse(text);
          } catch {
            json = undefined;
          }
          resolve({ status: res.statusCode as number, headers: res.headers, text, json, serial });
        });
      },
    );
    req.on("error", reject);
    req.end(body);
  });
}

/** Sends bytes as they are over TLS, and gives back everything until the connection ends. */
export function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls(
      { port, host: "127.0.0.1", servername: "localhost.example", rejectUnauthorized: false },
      () => socket.write(text),
    );
    let all = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      all += chunk;
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(all));
  });
}

/** A WebSocket through the front, without a look at who signed. */
export function openSocket(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): WebSocket {
  const options: ClientOptions & ConnectionOptions = {
    headers: { host: "localhost.example", ...headers },
    servername: "localhost.example",
    rejectUnauthorized: false,
  };
  return new WebSocket(`wss://127.0.0.1:${port}${path}`, options);
}

/** Somebody's certificate for the front, put where the plan wants it. */
export function ownFrontCertificate(world: HostWorld, pair: { cert: string; key: string }): void {
  world.secrets.set("front.cert", pair.cert);
  world.secrets.set("front.key", pair.key);
}
