import { afterEach, expect, test } from "vitest";
import { messageOf } from "../drill/clients/load.ts";
import { type EventOf, History } from "../drill/history.ts";
import { newMarker } from "../drill/marker.ts";
import { type RecordingModel, readPrompt, startRecordingModel } from "../drill/model.ts";
import { HEADER_OF_TESTS } from "./header.ts";

const history = () => new History(HEADER_OF_TESTS, { now: () => performance.now() });
let model: RecordingModel | null = null;
afterEach(() => model?.close());

const ask = (url: string, text: string) =>
  fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "echo", messages: [{ role: "user", content: text }] }),
  });

test("each call is written with its turn and with the connection it came over", async () => {
  const seen = history();
  const ports: number[] = [];
  model = await startRecordingModel(seen, ({ port }) => {
    ports.push(port);
    return 4711;
  });
  const [first, second] = [newMarker(), newMarker()];
  const { url } = model;
  const answers = await Promise.all([
    ask(url, messageOf(first, 30)),
    ask(url, messageOf(second, 0)),
  ]);
  for (const [i, answer] of answers.entries()) {
    expect(await answer.text()).toContain([first, second][i]);
  }
  const begins = seen.events.filter((e): e is EventOf<"model-begin"> => e.type === "model-begin");
  expect(begins.map((begin) => begin.marker).sort()).toEqual([first, second].sort());
  expect(begins.every((begin) => begin.pid === 4711)).toBe(true);
  expect(new Set(ports).size).toBe(2);
});

test("a caller that goes away leaves an aborted call", async () => {
  const seen = history();
  model = await startRecordingModel(seen, () => null);
  const stop = new AbortController();
  const call = fetch(`${model.url}/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ messages: [{ role: "user", content: messageOf(newMarker(), 60_000) }] }),
    signal: stop.signal,
  });
  const kinds = () => seen.events.map((event) => event.type);
  while (!kinds().includes("model-begin")) await new Promise((done) => setImmediate(done));
  stop.abort();
  await expect(call).rejects.toThrow();
  while (!kinds().includes("model-end")) await new Promise((done) => setImmediate(done));
  expect(seen.events.at(-1)).toMatchObject({ type: "model-end", outcome: "aborted" });
});

test("a prompt for a session's title belongs to no turn", () => {
  const system = "Generate a concise session title (3-6 words) from the user's first message.";
  const asked = messageOf(newMarker(), 30);
  const prompt = readPrompt([
    { role: "system", content: system },
    { role: "user", content: asked },
  ]);
  expect(prompt).toMatchObject({ marker: null, asked: [], told: [] });
});

test("a prompt after a crash belongs to the turn before OpenClaw's own row", () => {
  const [earlier, own] = [newMarker(), newMarker()];
  const prompt = readPrompt([
    { role: "system", content: "you are an agent" },
    { role: "user", content: messageOf(earlier, 0) },
    { role: "assistant", content: `You said: ${earlier}` },
    { role: "user", content: [{ type: "text", text: messageOf(own, 0) }] },
    { role: "user", content: "[System] Your previous turn was interrupted by a restart." },
  ]);
  expect(prompt).toEqual({
    marker: own,
    resumed: true,
    continuation: false,
    asked: [earlier, own],
    told: [earlier],
  });
});

test("a message that a channel quotes behind the new one is not taken for the turn", () => {
  const [earlier, own] = [newMarker(), newMarker()];
  const prompt = readPrompt([
    { role: "user", content: messageOf(earlier, 0) },
    { role: "assistant", content: `You said: ${earlier}` },
    { role: "user", content: messageOf(own, 0) },
    { role: "user", content: `Chat history: ${messageOf(earlier, 0)}` },
  ]);
  expect(prompt.marker).toBe(own);
  expect(prompt.asked).toEqual([earlier, own]);
});
