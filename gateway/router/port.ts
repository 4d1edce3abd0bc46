import type { Server } from "node:http";
import { bootId } from "../clock.ts";
import type { NodeId } from "../contract.ts";
import type { Log } from "./deps.ts";
import { type BindFault, cannotShare, listen, stopListening, testBind } from "./port-bind.ts";
import type { PortAnswer, PortOrder } from "./port-heir.ts";
import { type Probe, type ProbeAnswer, probeHolder } from "./port-probe.ts";

export type { Probe } from "./port-probe.ts";

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
  /** For this long after a hand-over the earlier holder may still answer on the port. */
  handOverMs: number;
}

export const PORT_TIMINGS: PortTimings = {
  bindEveryMs: 200,
  probeEveryMs: 1_000,
  probeTimeoutMs: 1_000,
  misses: 3,
  handOverMs: 10_000,
};

export interface PortHolderOptions {
  server: Server;
  node: NodeId;
  host: string;
  port: number;
  fleet: () => string;
  log: Log;
  /** This router was asked to stop: others shall take the port rather than it. @default never */
  stopping?: () => boolean;
  killHolder?: () => Promise<boolean>;
  /** Whether the port may be shared for a hand-over; off where the system cannot. @default true */
  share?: boolean;
  timings?: Partial<PortTimings>;
}

/**
 * The public port of a machine with several routers: one holds it, the others try to bind it again and
 * again and watch its holder. A holder that answers nothing is killed if it is a supervisor of this
 * fleet; a foreign program never is.
 *
 * waiting → held: bound after a test that nobody had it, or beside a holder that asked for it.
 * held → waiting: another node or a stranger answers on it, too. Any → closed.
 */
export class PublicPort {
  #options: PortHolderOptions;
  readonly #timings: PortTimings;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #held = false;
  #share: boolean;
  #misses = 0;
  #nextProbeAt = 0;
  #lastProbe: Probe | null = null;
  #predecessor: { node: NodeId; until: number } | null = null;
  /** Binding, letting go and being asked to take happen one after another. */
  #queue: Promise<unknown> = Promise.resolve();
  #resolveFirst: () => void = () => undefined;
  /** Resolves when the port was taken for the first time. */
  readonly taken: Promise<void>;

  constructor(options: PortHolderOptions) {
    this.#options = options;
    this.#timings = { ...PORT_TIMINGS, ...options.timings };
    // A port that the kernel chose is nobody else's.
    this.#share = (options.share ?? true) && options.port !== 0;
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

  /** Where it listens, or waits to. */
  get at(): { host: string; port: number } {
    const { host, port } = this.#options;
    return { host, port };
  }

  /**
   * From now on listens somewhere else. Accepted connections live on; until the new place is free it
   * is waited for as the old one was.
   */
  async moveTo(host: string, port: number): Promise<void> {
    const { log, ...before } = this.#options;
    if (this.#closed || (before.host === host && before.port === port)) return;
    log.info({ host, port }, `the port changes: it was ${before.port} on ${before.host}`);
    await this.letGo();
    this.#options = { ...this.#options, host, port };
    this.#misses = 0;
    this.#lastProbe = null;
    this.#predecessor = null;
    await this.#tryBind();
  }

  /** Others can listen on it beside this router. */
  get shared(): boolean {
    return this.#held && this.#share;
  }

  /** Tries once, then goes on in the background. */
  async start(): Promise<void> {
    await this.#turn();
  }

  /** No more tries, probes or takes; a port that is held stays so. */
  async stop(): Promise<void> {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#queue;
  }

  /** Stops listening beside another listener; accepted connections live on. */
  letGo(): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#held) return;
      await stopListening(this.#options.server);
      this.#held = false;
    });
  }

  /** The holder asks this router to listen beside it. */
  take(order: PortOrder): Promise<PortAnswer> {
    return this.#inTurn(async () => {
      const why = this.#objection(order);
      if (why !== null) return { taken: false, why };
      const fault = await this.#listen();
      if (fault !== null) return { taken: false, why: fault.message };
      this.#predecessor = { node: order.node, until: performance.now() + this.#timings.handOverMs };
      this.#took(`handed over by ${order.node}`);
      return { taken: true, why: "" };
    });
  }

  #objection(order: PortOrder): string | null {
    const { host, port, stopping } = this.#options;
    if (this.#closed) return "this router is closing";
    if (stopping?.() && !order.evenStopping) return "this router is stopping";
    if (order.bootId !== bootId()) return "this is another machine";
    if (order.host !== host || order.port !== port) return `this router listens on ${host}:${port}`;
    if (this.#held) return "this router holds a port of that number already";
    if (!this.#share) return "ports cannot be shared here";
    return null;
  }

  async #turn(): Promise<void> {
    if (this.#closed) return;
    if (!this.#held) await this.#tryBind();
    if (!this.#closed && performance.now() >= this.#nextProbeAt) await this.#look();
    if (this.#closed) return;
    const pause = this.#held ? this.#timings.probeEveryMs : this.#timings.bindEveryMs;
    this.#timer = setTimeout(() => {
      this.#turn().catch((error: unknown) => {
        this.#options.log.error({ error: String(error) }, "the port's watch failed");
      });
    }, pause);
  }

  #tryBind(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#closed || this.#held) return;
      const { host, port, log } = this.#options;
      // Sharing is for a hand-over only: what is taken unasked must have been free.
      const busy = this.#share ? await testBind(host, port) : null;
      const fault = busy ?? (await this.#listen());
      if (fault === null) this.#took("it was free");
      else if (fault.code !== "EADDRINUSE") {
        log.error({ error: fault.message }, "the port cannot be bound; trying again");
        this.#nextProbeAt = performance.now() + this.#timings.probeEveryMs;
      }
    });
  }

  async #listen(): Promise<BindFault | null> {
    const { server, host, port } = this.#options;
    const where = { host, port, exclusive: true } as const;
    if (!this.#share) return listen(server, where);
    const fault = await listen(server, { ...where, reusePort: true });
    if (fault === null || !cannotShare(fault)) return fault;
    this.#share = false;
    return listen(server, where);
  }

  #took(how: string): void {
    const { host, port, log } = this.#options;
    this.#held = true;
    this.#misses = 0;
    this.#resolveFirst();
    log.info({ host, port }, `this router holds the port: ${how}`);
  }

  async #look(): Promise<void> {
    const { host, port, fleet } = this.#options;
    if (this.#held && !this.#share) return;
    const held = this.#held;
    const answer = await probeHolder(host, port, fleet(), this.#timings.probeTimeoutMs);
    this.#nextProbeAt = performance.now() + this.#timings.probeEveryMs;
    if (this.#closed || held !== this.#held) return;
    if (held) await this.#heldWith(answer);
    else this.#waitFor(answer.probe);
    if (answer.probe === "silent") await this.#missed();
    else this.#misses = 0;
  }

  #waitFor(probe: Probe): void {
    const { host, port, log } = this.#options;
    if (probe === "foreign" && this.#lastProbe !== "foreign") {
      log.error({ host, port }, "another program holds the port; waiting until it lets go");
    }
    this.#lastProbe = probe;
  }

  /** Two that bound between each other's test and bind find each other here. */
  async #heldWith({ probe, node }: ProbeAnswer): Promise<void> {
    const { host, port, log, node: self } = this.#options;
    if (probe === "silent") return;
    if (probe === "ours") {
      // The one with the larger id goes; a predecessor goes by itself.
      if (node === null || node >= self) return;
      const before = this.#predecessor;
      if (before?.node === node && performance.now() < before.until) return;
    }
    const other = probe === "ours" ? `node ${node}` : "another program";
    log.warn({ host, port }, `${other} listens on the port, too; this router lets go of it`);
    await this.letGo();
    this.#lastProbe = probe;
  }

  async #missed(): Promise<void> {
    const { host, port, log, killHolder } = this.#options;
    this.#misses += 1;
    if (this.#misses < this.#timings.misses || !killHolder) return;
    this.#misses = 0;
    const killed = await killHolder().catch((error: unknown) => {
      log.error({ error: String(error) }, "the port's silent holder could not be killed");
      return false;
    });
    if (killed) log.warn({ host, port }, "killed the router that held the port and did not answer");
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }
}
