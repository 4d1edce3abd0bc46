import { type ChildProcess, spawn } from "node:child_process";
import { fstatSync } from "node:fs";
import type { Clock } from "../clock.ts";
import { systemTimers, type Timers } from "../shard/timers.ts";

/** A good word from the supervisor counts for this long: it gives one every 2 s, and may be started anew. */
const GOOD_FOR_MS = 30_000;
/** Between two messages that only say something new, ms: each one is a process of some milliseconds. */
const SAY_EVERY_MS = 1_000;
/** The watchdog hears from us so many times within its patience. */
const FEEDS = 4;
const SEND_LIMIT_MS = 5_000;
/** What `systemctl status` shows in one line. */
const STATUS_CHARS = 200;

export interface ServiceManagerOptions {
  /** Its socket is there: this process was started by it (`Type=notify`). */
  present: boolean;
  /** Its patience with a silent service, ms; null: it does not watch. */
  watchdogMs: number | null;
  clock: Clock;
  timers?: Timers;
  /** Sends assignments such as `READY=1`. @default by systemd-notify, see decision 185 */
  send?: (assignments: string[]) => void;
}

/**
 * The keeper's side of systemd's notification protocol (sd_notify(3)). The watchdog hears a sign of life
 * only when this process runs *and* the supervisor said lately that every part of it makes progress. That
 * a store is away does not end it: the supervisor says so in the status, and is well.
 */
export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #timers: Timers;
  readonly #send: (assignments: string[]) => void;
  #ready = false;
  #goodAt: number | null = null;
  #said = "";
  #wanted = "";
  #sayTimer = false;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#send = options.send ?? notifier();
    if (options.present && options.watchdogMs !== null) this.#feedLater(options.watchdogMs / FEEDS);
  }

  /** What the supervisor says of itself. The first word makes the service `active`. */
  condition({ healthy, text }: { healthy: boolean; text: string }): void {
    if (!this.#options.present) return;
    if (healthy) this.#goodAt = this.#options.clock.now();
    this.#wanted = text.replaceAll(/\s+/g, " ").slice(0, STATUS_CHARS);
    if (!this.#ready) {
      this.#ready = true;
      this.#said = this.#wanted;
      this.#send(["READY=1", `STATUS=${this.#wanted}`]);
    } else if (!this.#sayTimer && this.#said !== this.#wanted) {
      this.#sayTimer = true;
      this.#timers.after(SAY_EVERY_MS, () => {
        this.#sayTimer = false;
        if (this.#said !== this.#wanted) this.#say();
      });
    }
  }

  /** Something the supervisor cannot say, since it is not there. */
  status(text: string): void {
    if (!this.#options.present) return;
    this.#wanted = text;
    this.#say();
  }

  stopping(): void {
    if (this.#options.present) this.#send(["STOPPING=1", "STATUS=stopping: draining all shards"]);
  }

  #say(): void {
    this.#said = this.#wanted;
    this.#send([`STATUS=${this.#said}`]);
  }

  #feedLater(pauseMs: number): void {
    this.#timers.after(pauseMs, () => {
      const now = this.#options.clock.now();
      if (this.#goodAt !== null && now - this.#goodAt < GOOD_FOR_MS) this.#send(["WATCHDOG=1"]);
      this.#feedLater(pauseMs);
    });
  }
}

/**
 * Reads what systemd said in this process's environment, and takes it out: gateways and what they start
 * must not speak for the service.
 */
export function openServiceManager(clock: Clock, env: NodeJS.ProcessEnv): ServiceManager {
  const socket = env.NOTIFY_SOCKET;
  const watchdogUsec = Number(env.WATCHDOG_USEC ?? 0);
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
  return new ServiceManager({
    present: socket !== undefined,
    watchdogMs: watchdogUsec > 0 ? watchdogUsec / 1_000 : null,
    clock,
    ...(socket === undefined ? {} : { send: notifier(socket) }),
  });
}

/** One message after the other, so that the newest status is the last. */
function notifier(socket = ""): (assignments: string[]) => void {
  const waiting: string[][] = [];
  let running: ChildProcess | null = null;
  const next = () => {
    const assignments = waiting.shift();
    if (running !== null || assignments === undefined) return;
    const child = spawn("systemd-notify", assignments, {
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", NOTIFY_SOCKET: socket },
      stdio: "ignore",
      timeout: SEND_LIMIT_MS,
      killSignal: "SIGKILL",
    });
    running = child;
    const over = () => {
      if (running !== child) return;
      running = null;
      next();
    };
    child.once("error", over);
    child.once("exit", over);
  };
  return (assignments) => {
    waiting.push(assignments);
    next();
  };
}

/**
 * The descriptor of standard output when systemd takes it into its journal, else null. Source:
 * systemd.exec(5), JOURNAL_STREAM.
 */
export function journalFd(env: NodeJS.ProcessEnv): number | null {
  const STDOUT = 1;
  try {
    const { dev, ino } = fstatSync(STDOUT);
    return env.JOURNAL_STREAM === `${dev}:${ino}` ? STDOUT : null;
  } catch {
    return null;
  }
}
