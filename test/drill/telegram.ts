import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { History } from "./history.ts";
import { markersIn } from "./marker.ts";
import { type Peer, peerOf } from "./peer.ts";

/**
 * A Bot API server for one machine: enough of it for OpenClaw's Telegram channel, with long polls
 * and the conflict that a second poller causes. It writes down who polled when, and what bots said.
 * Method names and fields: core.telegram.org/bots/api (2026-11).
 */
export interface TelegramServer {
  /** For `channels.telegram.apiRoot`. */
  url: string;
  /** A person writes to the bot. */
  say(token: string, chat: number, text: string): void;
  /** Resolves with the bot's message that carries the marker; rejects when the signal fires. */
  reply(token: string, marker: string, signal: AbortSignal): Promise<string>;
  /** Conflicts answered so far. */
  conflicts(): number;
  close(): Promise<void>;
}

interface Update {
  update_id: number;
  message: Record<string, unknown>;
}

interface Poll {
  id: string;
  offset: number;
  limit: number;
  response: ServerResponse;
  end(): void;
}

interface Bot {
  id: number;
  updates: Update[];
  nextUpdate: number;
  poll: Poll | null;
  /** Text of each message the bot sent, by message id. */
  messages: Map<number, string>;
  delivered: Map<string, string>;
}

type Parameters = Record<string, unknown>;

/** Longest a poll is kept open whatever it asks for, seconds. */
const MAX_POLL_SECONDS = 50;
/** Telegram answers at most this many updates at once. */
const MAX_UPDATES = 100;

/** @param host address to listen on. */
export async function startTelegram(
  history: History,
  callerOf: (peer: Peer) => number | null,
  host = "127.0.0.1",
): Promise<TelegramServer> {
  const bots = new Map<string, Bot>();
  const waiting = new Set<() => void>();
  let conflicts = 0;
  let polls = 0;
  let nextMessage = 1;

  const botOf = (token: string): Bot => {
    let bot = bots.get(token);
    if (!bot) {
      const id = Number(token.split(":")[0]) || 1;
      bot = {
        id,
        updates: [],
        nextUpdate: 1,
        poll: null,
        messages: new Map(),
        delivered: new Map(),
      };
      bots.set(token, bot);
    }
    return bot;
  };
  const name = (bot: Bot) => `bot${bot.id}`;
  const self = (bot: Bot) => ({
    id: bot.id,
    is_bot: true,
    first_name: "Drill",
    username: `drill_${bot.id}_bot`,
    can_join_groups: false,
    can_read_all_group_messages: false,
    supports_inline_queries: false,
  });

  function hand(bot: Bot): void {
    const { poll } = bot;
    if (!poll) return;
    const due = bot.updates.filter((update) => update.update_id >= poll.offset);
    if (due.length === 0) return;
    poll.end();
    answer(poll.response, due.slice(0, poll.limit));
  }

  function poll(bot: Bot, request: IncomingMessage, response: ServerResponse, p: Parameters): void {
    const offset = number(p.offset, 0);
    bot.updates = bot.updates.filter((update) => update.update_id >= offset);
    if (bot.poll) {
      conflicts++;
      const { response: earlier } = bot.poll;
      bot.poll.end();
      refuse(
        earlier,
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
      );
    }
    const id = `poll${++polls}`;
    const seconds = Math.min(number(p.timeout, 0), MAX_POLL_SECONDS);
    const peer = peerOf(request);
    const pid = peer && callerOf(peer);
    history.add({ type: "poll-begin", bot: name(bot), poll: id, pid });
    const timer = setTimeout(() => {
      mine.end();
      answer(response, []);
    }, seconds * 1000);
    const mine: Poll = {
      id,
      offset,
      limit: Math.min(number(p.limit, MAX_UPDATES), MAX_UPDATES),
      response,
      end: () => {
        if (bot.poll !== mine) return;
        bot.poll = null;
        clearTimeout(timer);
        history.add({ type: "poll-end", bot: name(bot), poll: id });
      },
    };
    bot.poll = mine;
    response.once("close", () => mine.end());
    hand(bot);
  }

  /** Counts each marker once per message, however often the message is edited. */
  function write(bot: Bot, chat: unknown, message: number, text: string): object {
    const before = new Set(markersIn(bot.messages.get(message) ?? ""));
    bot.messages.set(message, text);
    const markers = markersIn(text).filter((marker) => !before.has(marker));
    if (markers.length > 0) {
      history.add({ type: "delivered", bot: name(bot), chat: String(chat), markers });
      for (const marker of markers) bot.delivered.set(marker, text);
      for (const wake of [...waiting]) wake();
    }
    const date = Math.floor(Date.now() / 1000);
    return {
      message_id: message,
      from: self(bot),
      chat: { id: Number(chat), type: "private", first_name: "Person" },
      date,
      text,
    };
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const match = /^\/bot([^/]+)\/(\w+)/.exec(decodeURIComponent(request.url ?? ""));
    if (!match) return refuse(response, 404, "Not Found");
    const [, token = "", method = ""] = match;
    const bot = botOf(token);
    const p = await parameters(request);
    switch (method.toLowerCase()) {
      case "getme":
        return answer(response, self(bot));
      case "getupdates":
        return poll(bot, request, response, p);
      case "sendmessage":
        return answer(response, write(bot, p.chat_id, nextMessage++, String(p.text ?? "")));
      case "editmessagetext":
        return answer(
          response,
          write(bot, p.chat_id, number(p.message_id, 0), String(p.text ?? "")),
        );
      case "getwebhookinfo":
        return answer(response, {
          url: "",
          has_custom_certificate: false,
          pending_update_count: 0,
        });
      case "getchat":
        return answer(response, { id: Number(p.chat_id), type: "private", first_name: "Person" });
      case "getmycommands":
        return answer(response, []);
      case "deletewebhook":
      case "setmycommands":
      case "deletemycommands":
      case "sendchataction":
      case "setmessagereaction":
      case "deletemessage":
      case "answercallbackquery":
      case "setchatmenubutton":
      case "setmyname":
      case "setmydescription":
      case "setmyshortdescription":
      case "logout":
      case "close":
        return answer(response, true);
      default:
        history.add({ type: "note", text: `the Bot API was asked for ${method}, which it lacks` });
        return refuse(response, 404, `Not Found: method ${method} not found`);
    }
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${port}`,
    say: (token, chat, text) => {
      const bot = botOf(token);
      const person = { id: chat, is_bot: false, first_name: "Person", username: `person${chat}` };
      bot.updates.push({
        update_id: bot.nextUpdate++,
        message: {
          message_id: nextMessage++,
          from: person,
          chat: { id: chat, type: "private", first_name: "Person", username: `person${chat}` },
          date: Math.floor(Date.now() / 1000),
          text,
        },
      });
      hand(bot);
    },
    reply: (token, marker, signal) => {
      const bot = botOf(token);
      return new Promise((resolve, reject) => {
        const end = () => {
          waiting.delete(look);
          signal.removeEventListener("abort", abort);
        };
        const abort = () => {
          end();
          reject(signal.reason);
        };
        const look = () => {
          const text = bot.delivered.get(marker);
          if (text === undefined) return;
          end();
          resolve(text);
        };
        if (signal.aborted) return reject(signal.reason);
        signal.addEventListener("abort", abort);
        waiting.add(look);
        look();
      });
    },
    conflicts: () => conflicts,
    close: () =>
      new Promise((resolve) => {
        for (const bot of bots.values()) bot.poll?.end();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function number(value: unknown, otherwise: number): number {
  const parsed = Number(value);
  return value === undefined || !Number.isFinite(parsed) ? otherwise : parsed;
}

/** JSON, form or query, as Bot API clients may send them. */
async function parameters(request: IncomingMessage): Promise<Parameters> {
  const query = new URL(request.url ?? "/", "http://localhost").searchParams;
  const given: Parameters = Object.fromEntries(query);
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8");
  if (body === "") return given;
  const type = request.headers["content-type"] ?? "";
  if (type.includes("json")) return { ...given, ...(JSON.parse(body) as Parameters) };
  if (type.includes("multipart")) {
    const parts = body.matchAll(/name="([^"]+)"\r\n(?:[^\r\n]+\r\n)*\r\n([\s\S]*?)\r\n--/g);
    for (const [, key = "", value = ""] of parts) given[key] = value;
    return given;
  }
  return { ...given, ...Object.fromEntries(new URLSearchParams(body)) };
}

function answer(response: ServerResponse, result: unknown): void {
  send(response, 200, { ok: true, result });
}

function refuse(response: ServerResponse, code: number, description: string): void {
  send(response, code, { ok: false, error_code: code, description });
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
