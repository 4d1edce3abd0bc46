import { request, type Server } from "node:http";
import type { Log } from "./deps.ts";

/** Timings of the take-over, ms; arguments so that tests can be fast. */
export interface PortTimings {
  /** Pause between two tries to bind. */
  bindEveryMs: number;
  /** Pause between two probes of the holder. */
  probeEveryMs: number;
  /** A probe without an answer by then is a miss. */
  probeTimeoutMs: number;
  /** Misses in a row after which the holder is killed. */
  misses: number;
}

export const PORT_TIMINGS: PortTimings = {
  bindEveryMs: 200,
  probeEveryMs: 1_000,
  probeTimeoutMs: 1_000,
  misses: 3,
};

export type Probe =
  /** A router of this fleet answered. */
  | "ours"
  /** Something answered that is not of this fleet. */
  | "foreign"
  /** Nothing answered in time. */
  | "silent";

export interface PortHolderOptions {
  server: Server;
  host: string;
  port: number;
  fleet: () => string;
  log: Log;
  killHolder?: () => Promise<boolean>;
  timings?: Partial<PortTimings>;
}

/**
 * The public port of a machine with several routers: one holds it, the others try to bind it again and
 * again and watch its holder. A holder that answers nothing is killed if it is a supervisor of this
 * fleet; a foreign program never is.
 *
 * waiting → held (bound) → closed. waiting → waiting on EADDRINUSE.
 */
export class PublicPort {
  readonly #options: PortHolderOptions;
  readonly #timings: PortTimings;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #held = false;
  #misses = 0;
  #nextProbeAt = 0;
  #lastProbe: Probe | null = null;
  #resolveFirst: () => void = () => undefined;
  /** Resolves when the port was taken for the first time. */
  readonly taken: Promise<void>;

  constructor(options: PortHolderOptions) {
    this.#options = options;
    this.#timings = { ...PORT_TIMINGS, ...options.timings };
    this.taken = new Promise((resolve) => {
      this.#resolveFirst = resolve;
    });
  }

  get held(): boolean {
    return this.#held;
  }

  /** What the holder was when last looked at; null before the first look, and while we hold it. */
  get holder(): Probe | null {
    return this.#held ? null : this.#lastProbe;
  }

  /** Tries once, then goes on in the background. */
  async start(): Promise<void> {
    await this.#turn();
  }

  stop(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #turn(): Promise<void> {
    if (this.#closed) return;
    const fault = await this.#bind();
    if (this.#closed) return;
    if (fault === null) {
      this.#held = true;
      this.#resolveFirst();
      const { host, port, log } = this.#options;
      log.info({ host, port }, "this router holds the port");
      return;
    }
    if (fault.code !== "EADDRINUSE") {
      this.#options.log.error({ error: fault.message }, "the port cannot be bound; trying again");
    } else if (performance.now() >= this.#nextProbeAt) {
      await this.#look();
      this.#nextProbeAt = performance.now() + this.#timings.probeEveryMs;
    }
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#turn().catch((error: unknown) => {
        this.#options.log.error({ error: String(error) }, "the port's watch failed");
      });
    }, this.#timings.bindEveryMs);
  }

  #bind(): Promise<(Error & { code?: string }) | null> {
    const { server, host, port } = this.#options;
    return new Promise((resolve) => {
      const onError = (error: Error) => {
        server.off("listening", onListening);
        resolve(error);
      };
      const onListening = () => {
        server.off("error", onError);
        resolve(null);
      };
      server.once("error", onError);
      server.once("listening", onListening);
      server.listen({ host, port, exclusive: true });
    });
  }

  async #look(): Promise<void> {
    const { host, port, fleet, log, killHolder } = this.#options;
    const probe = await probeHolder(host, port, fleet(), this.#timings.probeTimeoutMs);
    if (probe === "foreign" && this.#lastProbe !== "foreign") {
      log.error({ host, port }, "another program holds the port; waiting until it lets go");
    }
    this.#lastProbe = probe;
    if (probe !== "silent") {
      this.#misses = 0;
      return;
    }
    this.#misses += 1;
    if (this.#misses < this.#timings.misses || !killHolder) return;
    this.#misses = 0;
    const killed = await killHolder().catch((error: unknown) => {
      log.error({ error: String(error) }, "the port's silent holder could not be killed");
      return false;
    });
    if (killed) log.warn({ host, port }, "killed the router that held the port and did not answer");
  }
}

/** Asks whoever holds the port for its fleet. A wildcard address is asked on loopback. */
export function probeHolder(
  host: string,
  port: number,
  fleet: string,
  timeoutMs: number,
): Promise<Probe> {
  const target = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return new Promise((resolve) => {
    const req = request(
      { host: target, port, path: "/healthz", agent: false, headers: { connection: "close" } },
      (res) => {
        let text = "";
        res.setEncoding("utf8");
        res.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > 16_384) finish("foreign");
        });
        res.on("end", () => finish(fleetOf(text) === fleet ? "ours" : "foreign"));
        res.on("error", () => finish("silent"));
      },
    );
    const timer = setTimeout(() => finish("silent"), timeoutMs);
    const finish = (probe: Probe) => {
      clearTimeout(timer);
      resolve(probe);
      req.destroy();
    };
    req.on("error", (error: Error & { code?: string }) => {
      // It spoke, but not HTTP: that is an answer.
      finish(error.code?.startsWith("HPE_") ? "foreign" : "silent");
    });
    req.end();
  });
}

function fleetOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { fleet?: unknown } | null)?.fleet;
  } catch {
    return undefined;
  }
}
