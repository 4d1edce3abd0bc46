import { appendFileSync } from "node:fs";
import type { Clock } from "../../gateway/clock.ts";

/** How a request of the load reaches the fleet. */
export type RequestKind = "chat" | "stream" | "v1" | "v1-stream" | "ws" | "telegram";

/** What a fault does to those who own shards; decides which errors a client may see under it. */
export type FaultKind = "crash" | "hang" | "pause" | "full" | "planned" | "store" | "clock";

interface At {
  /** Milliseconds on the drill's one monotonic clock. */
  t: number;
}

/** Everything that the drill saw, from the outside, in the order it saw it. */
export type HistoryEvent = At &
  (
    | {
        type: "invoked";
        id: string;
        client: string;
        kind: RequestKind;
        agent: string;
        session: string;
        /** `Idempotency-Key`; null where the route has none. */
        key: string | null;
        /** Unique text of the turn, found again in the model's recording. */
        marker: string;
        /** How long the model was asked to take, ms. */
        turnMs: number;
      }
    | {
        type: "answered";
        id: string;
        reply: string;
        shard: string | null;
        epoch: number | null;
        node: string | null;
        /** Times the client sent it, with the same key. */
        attempts: number;
      }
    | {
        type: "failed";
        id: string;
        /** A code of contract.ts, or `connection_lost`, `closed_<n>`, `cut_stream`, `no_reply`. */
        code: string;
        status: number | null;
        detail: string;
        attempts: number;
      }
    | {
        type: "model-begin";
        call: string;
        /** The turn that the call is for; null when the prompt carries none. */
        marker: string | null;
        /** The gateway process that called; null when it could not be told. */
        pid: number | null;
        /** The prompt's last row is OpenClaw's own, so this is its recovery after a crash. */
        resumed: boolean;
        /** A continuation of the same turn after a tool, not a run of its own. */
        continuation: boolean;
        /** Markers in the prompt's user rows, in order, each once, this turn's own included. */
        asked: string[];
        /** Markers in the prompt's assistant rows, in order. */
        told: string[];
      }
    | { type: "model-end"; call: string; outcome: "answered" | "failed" | "aborted" }
    /** A group is one start of a shard's gateway with everything that it started. */
    | { type: "process-up"; shard: string; group: string; pid: number; node: string | null }
    /** `running` false: every process of the group is stopped by a signal or frozen. */
    | { type: "process-state"; shard: string; group: string; running: boolean }
    | { type: "process-down"; shard: string; group: string }
    | { type: "poll-begin"; bot: string; poll: string; pid: number | null }
    | { type: "poll-end"; bot: string; poll: string }
    | { type: "delivered"; bot: string; chat: string; markers: string[] }
    | {
        type: "lease";
        shard: string;
        owner: string | null;
        epoch: number;
        state: string;
        pid: number | null;
      }
    | {
        type: "fault";
        n: number;
        name: string;
        kind: FaultKind;
        phase: "do" | "heal" | "recovered" | "failed";
        target: string;
        shards: string[];
        detail: string;
      }
    /** An observer looked, `gapMs` after it looked before. */
    | { type: "looked"; what: "processes" | "leases"; gapMs: number }
    | { type: "held"; requests: number }
    | { type: "note"; text: string }
  );

/** One event as written by those who see it; the history puts the time on it. */
export type HistoryEntry = HistoryEvent extends infer E
  ? E extends HistoryEvent
    ? Omit<E, "t">
    : never
  : never;
export type EventOf<T extends HistoryEvent["type"]> = Extract<HistoryEvent, { type: T }>;

/** What a history was taken of; the first line of its file. */
export interface HistoryHeader {
  seed: number;
  /** How long faults came; 0: until each had come once. */
  minutes: number;
  /** ISO 8601, for people. */
  startedAt: string;
  nodes: string[];
  shards: string[];
  faults: string[];
  release: string;
  /** How the command line asks for such a drill, without the seed. */
  command: string;
}

/** Append-only. Nothing is ever changed or taken out, also not on disk. */
export class History {
  readonly header: HistoryHeader;
  readonly #clock: Clock;
  readonly #start: number;
  #file: string | null = null;
  readonly #events: HistoryEvent[] = [];
  #unwritten: string[] = [];

  constructor(header: HistoryHeader, clock: Clock) {
    this.header = header;
    this.#clock = clock;
    this.#start = clock.now();
  }

  /** From now on it is also kept in this file: JSON lines, header first. Without, in memory only. */
  writeTo(file: string): void {
    this.#file = file;
    this.#unwritten = [this.header, ...this.#events].map((line) => JSON.stringify(line));
  }

  /** Milliseconds since the history began. */
  now(): number {
    return this.#clock.now() - this.#start;
  }

  get events(): readonly HistoryEvent[] {
    return this.#events;
  }

  /** @param t when it was, for what is written down after it happened. @default now */
  add(entry: HistoryEntry, t: number = this.now()): HistoryEvent {
    const event = { t, ...entry } as HistoryEvent;
    this.#events.push(event);
    if (this.#file !== null) this.#unwritten.push(JSON.stringify(event));
    return event;
  }

  /** Writes what is not on disk yet. Called by the drill each second, and at its end. */
  flush(): void {
    if (this.#file === null || this.#unwritten.length === 0) return;
    appendFileSync(this.#file, `${this.#unwritten.join("\n")}\n`, { mode: 0o600 });
    this.#unwritten = [];
  }
}
