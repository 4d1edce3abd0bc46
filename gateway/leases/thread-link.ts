import { Worker } from "node:worker_threads";
import type { Clock } from "../clock.ts";
import { siblingEntry } from "../entry.ts";
import { StoreUnavailable } from "./store.ts";
import type { FromThread, LeaseCalls, LeaseThreadData, ToThread } from "./thread-protocol.ts";

/** What the thread says of itself; answers to calls go to who called. */
export type Said = Exclude<FromThread, { type: "answer" } | { type: "fault" }>;

export interface LeaseThreadOptions {
  readonly data: LeaseThreadData;
  readonly clock: Clock;
  /** A thread runs, the first one or a later one, and knows nothing yet. */
  readonly onStarted: () => void;
  /** It ended, and calls under way with it. `again`: another one is started after a pause. */
  readonly onEnded: (error: StoreUnavailable, again: boolean) => void;
  readonly onSaid: (said: Said) => void;
}

/** A thread that waits for a locked file answers within the renewal timeout. */
const STOP_MS = 3_000;

/**
 * The thread that renews leases, from outside: started, started again should it end (it never does by itself,
 * and the leases have seconds left), asked, and stopped.
 */
export class LeaseThread {
  readonly #options: LeaseThreadOptions;
  readonly #calls = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  #worker: Worker | null = null;
  #restartTimer: NodeJS.Timeout | undefined;
  #nextCall = 1;
  #stopped = false;
  #heardAt = 0;

  constructor(options: LeaseThreadOptions) {
    this.#options = options;
  }

  /** How long it has said nothing, ms. */
  get silentMs(): number {
    return this.#options.clock.now() - this.#heardAt;
  }

  start(): void {
    const { data, clock, onStarted, onSaid } = this.#options;
    const entry = siblingEntry(import.meta.url, "thread.ts", "lease-thread.js");
    const worker = new Worker(entry, { workerData: data, execArgv: [], name: "leases" });
    this.#worker = worker;
    this.#heardAt = clock.now();
    worker.on("message", (message: FromThread) => this.#receive(message));
    worker.on("error", (error) => {
      onSaid({ type: "log", level: "error", message: `lease thread: ${error.stack}` });
    });
    worker.on("exit", () => this.#ended());
    onStarted();
  }

  /** Says something to it; nobody hears it while none runs. */
  post(message: ToThread): void {
    this.#worker?.postMessage(message);
  }

  /** Asks the store through it. Rejects with StoreUnavailable when it ends meanwhile or does not run. */
  call<K extends keyof LeaseCalls>(
    call: K,
    ...args: LeaseCalls[K]["args"]
  ): Promise<LeaseCalls[K]["result"]> {
    if (!this.#worker)
      return Promise.reject(new StoreUnavailable("the lease thread is not running"));
    const id = this.#nextCall++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.post({ type: "call", id, call, args });
    });
  }

  /** Ends it, and closes its store. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restartTimer);
    const worker = this.#worker;
    if (!worker) return;
    const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    const force = setTimeout(() => void worker.terminate(), STOP_MS);
    this.post({ type: "stop" });
    await ended;
    clearTimeout(force);
  }

  #ended(): void {
    const { data, onEnded } = this.#options;
    this.#worker = null;
    const ended = new StoreUnavailable("the lease thread ended");
    for (const call of this.#calls.values()) call.reject(ended);
    this.#calls.clear();
    onEnded(ended, !this.#stopped);
    if (this.#stopped) return;
    this.#restartTimer = setTimeout(() => this.start(), data.timings.retryEveryMs);
  }

  #receive(message: FromThread): void {
    this.#heardAt = this.#options.clock.now();
    if (!("id" in message)) {
      this.#options.onSaid(message);
      return;
    }
    const call = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (message.type === "answer") call?.resolve(message.value);
    else
      call?.reject(
        message.unavailable ? new StoreUnavailable(message.message) : new Error(message.message),
      );
  }
}
