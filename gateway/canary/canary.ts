import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ask, type Outcome, sessionAt } from "./ask.ts";
import type { CanaryConfig } from "./config.ts";
import { type CanaryMetrics, canaryMetrics } from "./metrics.ts";

export interface CanaryDeps {
  /** Milliseconds that only go forward. @default performance.now */
  readonly now?: () => number;
  readonly wall?: () => Date;
  /** Told of every attempt. */
  readonly said?: (outcome: Outcome, endpoint: string, seconds: number) => void;
}

/** Talks to the fleet as a person does, again and again, and tells Prometheus how that went. */
export class Canary {
  readonly #config: CanaryConfig;
  readonly #deps: Required<CanaryDeps>;
  readonly #metrics: CanaryMetrics;
  readonly #server: Server;
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | null = null;
  #turn = 0;

  constructor(config: CanaryConfig, deps: CanaryDeps = {}) {
    this.#config = config;
    this.#deps = {
      now: () => performance.now(),
      wall: () => new Date(),
      said: () => {},
      ...deps,
    };
    this.#metrics = canaryMetrics(config.slowSeconds);
    this.#server = createServer(async (req, res) => {
      if (req.method !== "GET" || req.url !== "/metrics") {
        res.writeHead(404).end();
        return;
      }
      const { registry } = this.#metrics;
      res.writeHead(200, { "content-type": registry.contentType });
      res.end(await registry.metrics());
    });
  }

  /** Resolves with its port once metrics can be read; the first message is under way then. */
  async start(): Promise<number> {
    const { host, port } = this.#config.listen;
    this.#server.listen(port, host);
    await once(this.#server, "listening");
    this.#timer = setInterval(() => void this.attempt(), this.#config.everyMs);
    void this.attempt();
    return (this.#server.address() as AddressInfo).port;
  }

  /** One message. While one is under way there is no second: it would measure the first's queue. */
  attempt(): Promise<void> {
    this.#asking ??= this.#attempt().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #attempt(): Promise<void> {
    const { endpoints } = this.#config;
    const endpoint = endpoints[this.#turn++ % endpoints.length] as string;
    const begun = this.#deps.now();
    const outcome = await ask(endpoint, this.#config, sessionAt(this.#deps.wall()));
    const seconds = (this.#deps.now() - begun) / 1000;
    if (outcome.kind === "answered") this.#metrics.answered(seconds);
    else this.#metrics.failed(outcome.reason);
    this.#deps.said(outcome, endpoint, seconds);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
