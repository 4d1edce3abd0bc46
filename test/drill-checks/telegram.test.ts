import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { History } from "../drill/history.ts";
import { newMarker } from "../drill/marker.ts";
import { startTelegram, type TelegramServer } from "../drill/telegram.ts";
import { HEADER_OF_TESTS } from "./header.ts";

const BOT = "42:token";
let time = 0;
let history: History;
let server: TelegramServer;

beforeEach(async () => {
  time = 0;
  history = new History(HEADER_OF_TESTS, { now: () => ++time });
  server = await startTelegram(history, () => 7);
});
afterEach(() => server.close());

async function ask(method: string, body: object = {}): Promise<{ status: number; body: Answer }> {
  const response = await fetch(`${server.url}/bot${BOT}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer };
}
interface Answer {
  ok: boolean;
  result: { update_id: number; message: { text: string; message_id: number } }[] & {
    message_id: number;
    username: string;
  };
}
const kinds = () => history.events.map((event) => event.type);

describe("the Bot API of the drill", () => {
  test("hands a person's message to a poll that waits, and again until it is confirmed", async () => {
    const waiting = ask("getUpdates", { timeout: 30 });
    while (!kinds().includes("poll-begin")) await new Promise((done) => setImmediate(done));
    server.say(BOT, 5, "hello");
    const first = (await waiting).body.result[0];
    expect(first?.message.text).toBe("hello");
    const again = await ask("getUpdates", { timeout: 0 });
    expect(again.body.result[0]?.update_id).toBe(first?.update_id);
    const offset = (first?.update_id ?? 0) + 1;
    const after = await ask("getUpdates", { offset, timeout: 0 });
    expect(after.body.result).toEqual([]);
    const polls = kinds().filter((kind) => kind.startsWith("poll"));
    expect(polls).toEqual([
      "poll-begin",
      "poll-end",
      "poll-begin",
      "poll-end",
      "poll-begin",
      "poll-end",
    ]);
  });

  test("ends the earlier of two polls with a conflict, and keeps both in the history", async () => {
    const first = ask("getUpdates", { timeout: 30 });
    while (!kinds().includes("poll-begin")) await new Promise((done) => setImmediate(done));
    const second = ask("getUpdates", { timeout: 30 });
    expect((await first).status).toBe(409);
    server.say(BOT, 5, "for the second");
    expect((await second).body.result[0]?.message.text).toBe("for the second");
    expect(server.conflicts()).toBe(1);
  });

  test("counts an answer once however often its message is edited, and a second message again", async () => {
    const marker = newMarker();
    const waiting = server.reply(BOT, marker, AbortSignal.timeout(20_000));
    const sent = await ask("sendMessage", { chat_id: 5, text: "You said" });
    const message_id = sent.body.result.message_id;
    await ask("editMessageText", { chat_id: 5, message_id, text: `You said: ${marker}` });
    await ask("editMessageText", { chat_id: 5, message_id, text: `You said: ${marker}.` });
    expect(await waiting).toContain(marker);
    const delivered = () => history.events.filter((event) => event.type === "delivered");
    expect(delivered()).toHaveLength(1);
    await ask("sendMessage", { chat_id: 5, text: `You said: ${marker}` });
    expect(delivered()).toHaveLength(2);
  });

  test("names itself, and refuses what it does not know", async () => {
    expect((await ask("getMe")).body.result.username).toBe("drill_42_bot");
    expect((await ask("inventedMethod")).status).toBe(404);
    expect(kinds()).toContain("note");
  });
});
