import { randomUUID } from "node:crypto";
import type { History, RequestKind } from "../history.ts";
import { newMarker } from "../marker.ts";
import type { Random } from "../random.ts";
import type { TelegramServer } from "../telegram.ts";
import { chat, completion, completionStream, stream } from "./http.ts";
import {
  type Answer,
  type Call,
  FrontLost,
  LostConnection,
  NotTaken,
  Refusal,
  type Target,
} from "./types.ts";
import { pause, SocketClient } from "./ws.ts";

/** How many steady clients of each kind; each holds one conversation and sends one turn at a time. */
export interface LoadShape {
  chats: number;
  streams: number;
  completions: number;
  sockets: number;
  /** Token of the bot to write to; null: no Telegram. */
  bot: string | null;
  /** Longest turn, ms. */
  longestTurnMs: number;
  /** Pause between the turns of one client, ms. */
  thinkMs: { least: number; most: number };
}

export const STEADY: LoadShape = {
  chats: 4,
  streams: 2,
  completions: 1,
  sockets: 1,
  bot: null,
  longestTurnMs: 60_000,
  thinkMs: { least: 500, most: 3_000 },
};

/**
 * A client that had no outcome by then calls it a loss: a minute beyond a turn's budget. OpenClaw takes
 * up interrupted turns one after another, and anew after each crash (seen: an answer after 315 s).
 */
export const PATIENCE_MS = 660_000;
/**
 * A request that has waited for so long comes to its end before the next fault. Where boots take a minute and a fault
 * comes every eighty seconds, no turn of forty seconds can end at all: that is no loss, and would be judged as one.
 */
const STARVED_MS = PATIENCE_MS / 2;
/** Pause between two looks at what is under way. */
const LOOK_MS = 250;
/** Pause before a request with a key is sent again after its connection was lost. */
const RESEND_MS = 500;
const CHAT_ID = 4242;

type Send = (call: Call) => Promise<Answer>;

/** Most turns are short, some are a minute: shares as in a chat with tools. */
export function turnLength(random: Random, longestMs: number): number {
  const share = random.next();
  const ms =
    share < 0.65
      ? random.between(200, 2_000)
      : share < 0.92
        ? random.between(2_000, 12_000)
        : random.between(12_000, 60_000);
  return Math.min(ms, longestMs);
}

/** The text of a turn. The marker is last, so that a half-streamed answer never carries it. */
export const messageOf = (marker: string, turnMs: number): string =>
  `Please say this again [[delay=${turnMs}]] [[run=${marker}]] ${marker}`;

/** The steady load of a drill, written into the history request by request. */
export class Load {
  readonly #history: History;
  readonly #target: Target;
  readonly #random: Random;
  readonly #telegram: TelegramServer | null;
  readonly #sockets: SocketClient[] = [];
  /** When each request that is under way was first sent; by its id. */
  readonly #underWay = new Map<string, number>();
  #stopping = false;
  readonly #wake = new AbortController();
  #running: Promise<void>[] = [];

  constructor(history: History, target: Target, random: Random, telegram: TelegramServer | null) {
    this.#history = history;
    this.#target = target;
    this.#random = random;
    this.#telegram = telegram;
  }

  start(shape: LoadShape): void {
    const add = (kind: RequestKind, client: string, send: Send) => {
      this.#running.push(this.#steady(kind, client, shape, send));
    };
    for (let i = 1; i <= shape.chats; i++) {
      add("chat", `chat-${i}`, (call) => chat(this.#target, call));
    }
    for (let i = 1; i <= shape.streams; i++) {
      add("stream", `stream-${i}`, (call) => stream(this.#target, call));
    }
    for (let i = 1; i <= shape.completions; i++) {
      add("v1", `v1-${i}`, (call) => completion(this.#target, call));
      add("v1-stream", `v1-stream-${i}`, (call) => completionStream(this.#target, call));
    }
    for (let i = 1; i <= shape.sockets; i++) {
      const client = new SocketClient(this.#target, "main", `ws-${i}`);
      this.#sockets.push(client);
      add("ws", `ws-${i}`, (call) => client.turn(call));
    }
    if (shape.bot !== null) add("telegram", "person-1", this.#person(shape.bot));
  }

  /** Age of the request that has waited longest, ms; 0: none is under way. */
  longestWaitMs(): number {
    const first = Math.min(...this.#underWay.values());
    return Number.isFinite(first) ? this.#history.now() - first : 0;
  }

  /**
   * Waits until no request has been under way for longer than `forMs`. Each ends within its patience.
   * @param starved called once, if there is one, with how long it has waited, ms
   */
  async noneStarved(
    signal: AbortSignal,
    starved: (waitedMs: number) => void,
    forMs = STARVED_MS,
  ): Promise<void> {
    for (let told = false; ; told = true) {
      const waitedMs = this.longestWaitMs();
      if (waitedMs <= forMs) return;
      if (!told) starved(waitedMs);
      await pause(LOOK_MS, signal);
    }
  }

  /** No new turns; resolves when the running ones have ended, each within its patience. */
  async finish(): Promise<void> {
    this.#stopping = true;
    this.#wake.abort(new Error("the load ends"));
    await Promise.all(this.#running);
    for (const socket of this.#sockets) socket.close();
  }

  /** One chat turn outside the steady ones; null when it failed (the history says how). */
  probe(session: string, turnMs = 0): Promise<Answer | null> {
    const send: Send = (call) => chat(this.#target, call);
    return this.#turn("chat", "probe", session, turnMs, send);
  }

  async #steady(kind: RequestKind, client: string, shape: LoadShape, send: Send): Promise<void> {
    const random = this.#random.fork(client);
    while (!this.#stopping) {
      await this.#turn(kind, client, client, turnLength(random, shape.longestTurnMs), send);
      const think = random.between(shape.thinkMs.least, shape.thinkMs.most);
      await pause(think, this.#wake.signal).catch(() => {});
    }
  }

  async #turn(
    kind: RequestKind,
    client: string,
    session: string,
    turnMs: number,
    send: Send,
  ): Promise<Answer | null> {
    const marker = newMarker();
    const id = randomUUID();
    const key = kind === "chat" || kind === "stream" || kind === "ws" ? randomUUID() : null;
    this.#history.add({
      type: "invoked",
      id,
      client,
      kind,
      agent: "main",
      session,
      key,
      marker,
      turnMs,
    });
    this.#underWay.set(id, this.#history.now());
    try {
      return await this.#outcome(
        { agent: "main", session, message: messageOf(marker, turnMs), key, marker },
        { id, kind, send },
      );
    } finally {
      this.#underWay.delete(id);
    }
  }

  /** Sends a turn until it has an outcome, which goes into the history. */
  async #outcome(
    turn: Omit<Call, "signal">,
    { id, kind, send }: { id: string; kind: RequestKind; send: Send },
  ): Promise<Answer | null> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const call: Call = { ...turn, signal };
    // Only a route that knows the key can be asked again without running the turn twice.
    const again = kind === "chat" || kind === "stream";
    for (let attempts = 1; ; attempts++) {
      try {
        const answer = await send(call);
        this.#history.add({ type: "answered", id, attempts, ...answer });
        return answer;
      } catch (error) {
        const may = again || error instanceof NotTaken;
        if (error instanceof LostConnection && may && !signal.aborted) {
          await pause(RESEND_MS, signal).catch(() => {});
          continue;
        }
        this.#history.add({ type: "failed", id, attempts, ...outcomeOf(error, kind) });
        return null;
      }
    }
  }

  #person(bot: string): Send {
    return async (call) => {
      if (!this.#telegram) throw new Refusal("no_reply", null, "there is no Bot API server");
      this.#telegram.say(bot, CHAT_ID, call.message);
      const reply = await this.#telegram.reply(bot, call.marker, call.signal);
      return { reply, shard: null, epoch: null, node: null };
    };
  }
}

/** What the history says of an error. */
export function outcomeOf(
  error: unknown,
  kind: RequestKind,
): { code: string; status: number | null; detail: string } {
  if (error instanceof FrontLost) return outcomeOf(error.refusal, kind);
  if (error instanceof Refusal) {
    return { code: error.code, status: error.status, detail: error.message };
  }
  const detail = (error as Error).message;
  if (error instanceof LostConnection) return { code: "connection_lost", status: null, detail };
  if ((error as Error).name === "TimeoutError") {
    const code = kind === "telegram" ? "no_reply" : "no_answer";
    return { code, status: null, detail: `nothing came for ${PATIENCE_MS / 1000} s` };
  }
  return { code: "client_error", status: null, detail };
}
