import { request } from "node:http";
import { bootClock } from "../../../gateway/clock.ts";
import type { FleetConfig } from "../../../gateway/config.ts";
import { createMetrics, type FleetMetrics } from "../../../gateway/observe/metrics.ts";
import type { Log, RouterDeps } from "../../../gateway/router/deps.ts";
import { type RouterHandle, startRouter } from "../../../gateway/router/router.ts";
import {
  CLIENT_TOKEN,
  FakeControl,
  FakeFleet,
  type FakeView,
  fleetConfig,
  MemorySessions,
} from "./fakes.ts";

/** A log that keeps its lines, to look for secrets and errors. */
export class KeptLog implements Log {
  readonly lines: string[] = [];
  readonly #keep = (level: string) => (fields: object, message: string) => {
    this.lines.push(JSON.stringify({ level, ...fields, message }));
  };
  debug = this.#keep("debug");
  info = this.#keep("info");
  warn = this.#keep("warn");
  error = this.#keep("error");
  /** Faults of the router itself. */
  faults(): string[] {
    return this.lines.filter((line) => /router's handler|failed in the router/.test(line));
  }
}

export interface WorldNode {
  id: string;
  view: FakeView;
  control: FakeControl;
  metrics: FleetMetrics;
  router: RouterHandle;
  /** Port of its public listener. */
  port: number;
}

/** Several nodes of one fleet in this process, each with a public port of its own. */
export class World {
  readonly fleet: FakeFleet;
  readonly sessions = new MemorySessions();
  readonly log = new KeptLog();
  readonly nodes = new Map<string, WorldNode>();

  constructor(config: FleetConfig = fleetConfig()) {
    this.fleet = new FakeFleet(config);
  }

  static async start(ids: string[], config?: FleetConfig): Promise<World> {
    const world = new World(config);
    for (const id of ids) await world.add(id);
    return world;
  }

  async add(id: string, over: Partial<RouterDeps> = {}): Promise<WorldNode> {
    const view = this.fleet.view(id);
    const control = new FakeControl();
    const metrics = createMetrics();
    const router = await startRouter({
      view,
      control,
      sessions: this.sessions,
      clock: bootClock,
      log: this.log,
      metrics,
      listen: { host: "127.0.0.1", port: 0 },
      peer: { host: "127.0.0.1", port: 0 },
      closeBudgetMs: 2_000,
      ...over,
    });
    this.fleet.addresses.set(id, router.peerAddress);
    const node = { id, view, control, metrics, router, port: router.port as number };
    this.nodes.set(id, node);
    return node;
  }

  node(id: string): WorldNode {
    return this.nodes.get(id) as WorldNode;
  }

  async close(): Promise<void> {
    await Promise.all([...this.nodes.values()].map(({ router }) => router.close()));
    await this.fleet.close();
  }
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of any shape, looked at by expectations
  json: any;
  /** The connection ended before the answer was whole. */
  broken: boolean;
}

export interface Ask {
  method?: string;
  body?: unknown;
  headers?: Record<string, string | undefined>;
  token?: string | null;
  signal?: AbortSignal;
  onChunk?: (text: string) => void;
}

/** One request on a connection of its own. */
export function ask(port: number, path: string, options: Ask = {}): Promise<Answer> {
  const { body, token = CLIENT_TOKEN } = options;
  const text =
    body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = {};
    if (token !== null) headers.authorization = `Bearer ${token}`;
    if (text !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-length"] = String(Buffer.byteLength(text));
    }
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      if (value !== undefined) headers[name] = value;
    }
    const req = request(
      {
        host: "127.0.0.1",
        port,
        path,
        method: options.method ?? (text === undefined ? "GET" : "POST"),
        headers,
        agent: false,
        signal: options.signal,
      },
      (res) => {
        let received = "";
        res.setEncoding("utf8");
        res.on("data", (chunk: string) => {
          received += chunk;
          options.onChunk?.(received);
        });
        let broken = false;
        res.on("error", () => {
          broken = true;
        });
        res.on("close", () => {
          let json: unknown;
          try {
            json = JSON.parse(received);
          } catch {
            json = undefined;
          }
          resolve({
            status: res.statusCode as number,
            headers: res.headers as Record<string, string>,
            text: received,
            json,
            broken: broken || !res.complete,
          });
        });
      },
    );
    req.on("error", reject);
    req.end(text);
  });
}

/** Server-sent events of a text. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export function events(text: string): { event: string; data: any }[] {
  return text
    .split("\n\n")
    .filter((block) => block.startsWith("event: "))
    .map((block) => {
      const [head = "", data = ""] = block.split("\ndata: ");
      return { event: head.slice(7), data: JSON.parse(data) };
    });
}

/** Waits for a condition; the deadline only matters when the test fails. */
export async function until(condition: () => boolean, what = "a condition"): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
