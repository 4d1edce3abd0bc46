import { writeSync } from "node:fs";
import { bootClock, type Clock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import { systemTimers, type Timers } from "../shard/timers.ts";
import { clearCage } from "./cage.ts";
import { type KeeperPort, KeeperRefused } from "./port.ts";
import type {
  ConditionCommand,
  Extend,
  KeeperCommand,
  KeeperEvent,
  StartCommand,
} from "./protocol.ts";

/** File descriptor of the pipe to the keeper that carries {@link Extend} lines. */
export const EXTEND_FD = 4;

/** Exit code of a supervisor that lost its keeper. */
export const KEEPER_LOST_EXIT = 75;

/** A keeper that leaves a ping unanswered for this long is lost, milliseconds. */
export const KEEPER_SILENCE_MS = 3_000;
const PING_EVERY_MS = 500;

/**
 * Extends deadlines. Synchronous and without an event loop, for the lease thread. Throws when the
 * keeper is gone; then nothing was extended.
 */
export function writeExtend(extend: Extend, fd: number = EXTEND_FD): void {
  writeSync(fd, `${JSON.stringify(extend)}\n`);
}

/** The part of `process` that a child started with an IPC channel talks through. */
export interface Channel {
  send?(message: KeeperCommand, done?: (error: Error | null) => void): boolean;
  on(event: "message", listener: (message: unknown) => void): unknown;
  on(event: "disconnect", listener: () => void): unknown;
  disconnect?(): void;
  readonly connected: boolean;
}

export interface KeeperClientOptions {
  /** @default process */
  channel?: Channel;
  clock?: Clock;
  timers?: Timers;
  /**
   * The keeper is gone or silent for {@link KEEPER_SILENCE_MS}. By then the client has begun to kill
   * every cage it knows of. Called once, `fenced` settles when they are empty.
   * @default waits for `fenced` and exits with {@link KEEPER_LOST_EXIT}
   */
  onLost?: (why: string, fenced: Promise<void>) => void;
  /** The node was asked to stop. Drain, release, then {@link KeeperClient.quit}. */
  onStop?: (budgetMs: number) => void;
  /** Kills a cage from this side and resolves when it is empty. @default by the cage's name */
  clearCage?: (cage: string) => Promise<void>;
}

interface Waiting<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/**
 * The supervisor's end of the channel to its keeper. Pings it and, when it stays silent, fences this
 * side by itself: a keeper that is stopped enforces no deadline.
 */
export class KeeperClient implements KeeperPort {
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #options: KeeperClientOptions;
  readonly #listeners = new Set<(event: KeeperEvent) => void>();
  readonly #starting = new Map<string, Waiting<{ pid: number; cage: string }>>();
  readonly #killing = new Map<string, Waiting<void>[]>();
  readonly #clearing = new Map<string, Waiting<void>[]>();
  /** Cages that run, by shard and epoch. */
  readonly #cages = new Map<string, string>();
  #ping = 0;
  #pong = 0;
  /** When the oldest unanswered ping was sent; null when all are answered. */
  #unansweredSince: number | null = null;
  #lastTick: number;
  #cancelTick: () => void = () => {};
  #over = false;

  constructor(options: KeeperClientOptions = {}) {
    this.#options = options;
    this.#channel = options.channel ?? (process as unknown as Channel);
    this.#clock = options.clock ?? bootClock;
    this.#timers = options.timers ?? systemTimers;
    this.#lastTick = this.#clock.now();
    this.#channel.on("message", (message) => this.#hear(message as KeeperEvent));
    this.#channel.on("disconnect", () => this.#lose("the keeper is gone"));
    this.#tick();
  }

  on(listener: (event: KeeperEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(command: Omit<StartCommand, "op">): Promise<{ pid: number; cage: string }> {
    const key = runKey(command.shard, command.epoch);
    if (this.#starting.has(key) || this.#cages.has(key)) {
      return Promise.reject(new KeeperRefused(`${key} already runs`));
    }
    return new Promise((resolve, reject) => {
      this.#starting.set(key, { resolve, reject });
      this.#send({ op: "start", ...command });
    });
  }

  signal(shard: ShardId, epoch: number, signal: NodeJS.Signals): void {
    this.#send({ op: "signal", shard, epoch, signal });
  }

  kill(shard: ShardId, epoch: number, why: string): Promise<void> {
    return this.#wait(this.#killing, runKey(shard, epoch), { op: "kill", shard, epoch, why });
  }

  clear(shard: ShardId, cage: string): Promise<void> {
    return this.#wait(this.#clearing, cage, { op: "clear", shard, cage });
  }

  /** How this node is, for whoever manages it as a service. */
  condition(condition: Omit<ConditionCommand, "op">): void {
    this.#send({ op: "condition", ...condition });
  }

  /**
   * Tells the keeper that the node's planned stop is done, and closes the channel, which else keeps
   * this process alive. It must exit next; the keeper helps after 5 s.
   */
  async quit(): Promise<void> {
    this.close();
    const channel = this.#channel;
    if (!channel.connected || !channel.send) return;
    await new Promise<void>((resolve) => channel.send?.({ op: "quit" }, () => resolve()));
    if (channel.connected) channel.disconnect?.();
  }

  /** Stops pinging; a later loss of the keeper is then no loss. */
  close(): void {
    this.#over = true;
    this.#cancelTick();
  }

  #wait(map: Map<string, Waiting<void>[]>, key: string, command: KeeperCommand): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = map.get(key);
      if (waiting) waiting.push({ resolve, reject });
      else map.set(key, [{ resolve, reject }]);
      this.#send(command);
    });
  }

  #send(command: KeeperCommand): void {
    if (!this.#channel.connected || !this.#channel.send) return;
    // A failed send shows as a disconnect or as silence; both fence.
    this.#channel.send(command, () => {});
  }

  #hear(event: KeeperEvent): void {
    switch (event.event) {
      case "started": {
        const key = runKey(event.shard, event.epoch);
        this.#cages.set(key, event.cage);
        this.#starting.get(key)?.resolve({ pid: event.pid, cage: event.cage });
        this.#starting.delete(key);
        break;
      }
      case "refused": {
        const key = runKey(event.shard, event.epoch);
        this.#starting.get(key)?.reject(new KeeperRefused(event.message));
        this.#starting.delete(key);
        break;
      }
      case "empty": {
        const key = runKey(event.shard, event.epoch);
        this.#cages.delete(key);
        settle(this.#killing, key);
        break;
      }
      case "cleared":
        settle(this.#clearing, event.cage);
        break;
      case "not-cleared":
        for (const one of this.#clearing.get(event.cage) ?? []) {
          one.reject(new KeeperRefused(event.message));
        }
        this.#clearing.delete(event.cage);
        break;
      case "pong":
        this.#pong = Math.max(this.#pong, event.n);
        if (this.#pong >= this.#ping) this.#unansweredSince = null;
        break;
      case "stop":
        this.#options.onStop?.(event.budgetMs);
        break;
    }
    for (const listener of [...this.#listeners]) listener(event);
  }

  #tick(): void {
    if (this.#over) return;
    const now = this.#clock.now();
    // This process slept or was stopped: answers may wait unread, so silence is measured anew.
    if (now - this.#lastTick > 2 * PING_EVERY_MS) this.#unansweredSince = null;
    this.#lastTick = now;
    if (this.#unansweredSince !== null && now - this.#unansweredSince >= KEEPER_SILENCE_MS) {
      this.#lose(`the keeper left a ping unanswered for ${KEEPER_SILENCE_MS} ms`);
      return;
    }
    this.#unansweredSince ??= now;
    this.#ping += 1;
    this.#send({ op: "ping", n: this.#ping });
    this.#cancelTick = this.#timers.after(PING_EVERY_MS, () => this.#tick());
  }

  #lose(why: string): void {
    if (this.#over) return;
    this.close();
    const lost = new KeeperRefused(why);
    for (const waiting of this.#starting.values()) waiting.reject(lost);
    this.#starting.clear();
    const clear = this.#options.clearCage ?? clearCage;
    const fenced = Promise.all([...this.#cages.values()].map((cage) => clear(cage))).then(() => {});
    const onLost = this.#options.onLost ?? exitWhenFenced;
    onLost(why, fenced);
  }
}

function exitWhenFenced(_why: string, fenced: Promise<void>): void {
  const exit = () => process.exit(KEEPER_LOST_EXIT);
  fenced.then(exit, exit);
}

function runKey(shard: ShardId, epoch: number): string {
  return `${shard}-${epoch}`;
}

function settle(map: Map<string, Waiting<void>[]>, key: string): void {
  const waiting = map.get(key);
  map.delete(key);
  for (const one of waiting ?? []) one.resolve();
}
