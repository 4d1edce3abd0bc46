import type { ChannelsReport } from "../../../gateway/contract.ts";
import type { KeeperPort } from "../../../gateway/keeper/port.ts";
import { KeeperRefused } from "../../../gateway/keeper/port.ts";
import type { KeeperEvent, StartCommand } from "../../../gateway/keeper/protocol.ts";
import type { GatewayPort, Reopenings } from "../../../gateway/openclaw/port.ts";
import type { Timers } from "../../../gateway/shard/timers.ts";

/** A clock and its timers that stand still until told. */
export class FakeTime implements Timers {
  #now = 1_000_000;
  #timers: { at: number; n: number; fn: () => void }[] = [];
  #n = 0;

  readonly clock = { now: () => this.#now };

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + ms, n: this.#n++, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Moves on, timer by timer, letting promises settle between them. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const next = this.#timers
        .filter(({ at }) => at <= until)
        .sort((a, b) => a.at - b.at || a.n - b.n)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#now = Math.max(this.#now, next.at);
      next.fn();
      await settle();
    }
    this.#now = until;
  }

  /** The process did not run for a while: the clock moved, no timer fired. */
  sleep(ms: number): void {
    this.#now += ms;
  }
}

/** Lets everything that waits for a settled promise run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A keeper whose processes do what the test says. */
export class FakeKeeper implements KeeperPort {
  readonly started: Omit<StartCommand, "op">[] = [];
  readonly signals: string[] = [];
  readonly kills: string[] = [];
  running: { shard: string; epoch: number; pid: number } | null = null;
  /** Next starts are refused with this. */
  refusal: string | null = null;
  /** SIGTERM ends it, code 0. */
  polite = true;
  /** Most processes at a time; more than one is a fault of the runner. */
  most = 0;
  #pid = 100;
  readonly #listeners = new Set<(event: KeeperEvent) => void>();

  on(listener: (event: KeeperEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(command: Omit<StartCommand, "op">): Promise<{ pid: number; cage: string }> {
    if (this.refusal !== null) throw new KeeperRefused(this.refusal);
    if (this.running) throw new KeeperRefused("already runs");
    this.started.push(command);
    const { shard, epoch } = command;
    this.#pid += 1;
    this.running = { shard, epoch, pid: this.#pid };
    return { pid: this.#pid, cage: `session:f/n/${shard}-${epoch}` };
  }

  signal(shard: string, epoch: number, signal: NodeJS.Signals): void {
    this.signals.push(signal);
    if (this.polite && this.running?.shard === shard && this.running.epoch === epoch) this.exit(0);
  }

  async kill(_shard: string, _epoch: number, why: string): Promise<void> {
    this.kills.push(why);
    if (this.running) this.exit(null, { signal: "SIGKILL" });
  }

  async clear(): Promise<void> {}

  /** The process ends and its cage is empty. */
  exit(
    code: number | null,
    { signal = null as string | null, tail = [] as string[], fenced = false } = {},
  ): void {
    const running = this.running;
    if (!running) throw new Error("nothing runs");
    const { shard, epoch } = running;
    this.emit({ event: "exit", shard, epoch, code, signal, tail });
    this.running = null;
    this.emit({ event: "empty", shard, epoch, fenced });
  }

  memory(mib: number): void {
    this.emit({ event: "memory", bytes: { s1: mib * 2 ** 20 } });
  }

  emit(event: KeeperEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

/** A gateway with turns that the test sets. */
export class FakeGateway implements GatewayPort {
  connected = false;
  active = 0;
  queued = 0;
  closed = false;
  isSuspended = false;
  /** When a bot got its newest message. */
  inbound: number | null = null;
  suspends = 0;
  resumes = 0;
  /** Questions are left unanswered. */
  mute = false;

  async ready(): Promise<void> {
    this.connected = true;
  }
  runTurn(): Promise<never> {
    return Promise.reject(new Error("no turns here"));
  }
  presentSession(): Promise<never> {
    return Promise.reject(new Error("no sessions here"));
  }
  turns() {
    return this.#answer({ active: this.active, queued: this.queued });
  }
  lastInbound() {
    return this.#answer(this.inbound);
  }
  suspend() {
    this.isSuspended = true;
    this.suspends += 1;
    return this.#answer(undefined);
  }
  suspended() {
    return this.#answer(this.isSuspended && this.active + this.queued === 0);
  }
  resume() {
    this.isSuspended = false;
    this.resumes += 1;
    return this.#answer(undefined);
  }
  async sessions() {
    return [];
  }
  async syncCron(): Promise<void> {}
  async reopenBots(_all = false): Promise<Reopenings> {
    return { opened: [], refused: [] };
  }
  async ensureChannels(): Promise<string[]> {
    return [];
  }
  async channels(): Promise<ChannelsReport> {
    return { bots: 0, down: [] };
  }
  onUsage(): () => void {
    return () => {};
  }
  close(): void {
    this.closed = true;
    this.connected = false;
  }
  #answer<T>(value: T): Promise<T> {
    return this.mute ? new Promise(() => {}) : Promise.resolve(value);
  }
}
