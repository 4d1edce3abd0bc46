import { expect, test } from "vitest";
import { seenIn } from "../drill/checks/seen.ts";
import type { HistoryEvent } from "../drill/history.ts";
import { lawfulWorld } from "./world.ts";

const { events } = lawfulWorld({ seed: 3, shards: 2, turns: 8, crashes: 0 });
const end = events.reduce((last, { t }) => Math.max(last, t), 0);
const chat = events.findIndex(({ type }, i) => {
  return type === "invoked" && (events[i] as { kind?: string }).kind === "chat";
});
const { id, marker } = events[chat] as Extract<HistoryEvent, { type: "invoked" }>;
const outcomeAt = events.findIndex((event) => event.type === "answered" && event.id === id);
const answered = events[outcomeAt] as Extract<HistoryEvent, { type: "answered" }>;
const withOutcome = (outcome: HistoryEvent): HistoryEvent[] => events.with(outcomeAt, outcome);

test("all is well where every request was answered at once and the model asked once for each", () => {
  const seen = seenIn(events, 0, end);
  expect(seen).toMatchObject({ failed: [], repeated: [], open: [] });
  expect(seen.requests).toBeGreaterThan(5);
  expect(seenIn(events, end + 1, end + 2).requests).toBe(0);
});

test("a request that fails, or is sent again, is told with its client", () => {
  const { t } = answered;
  const failed = { type: "failed", t, id, code: "no_owner", status: 503, detail: "", attempts: 1 };
  expect(seenIn(withOutcome(failed as HistoryEvent), 0, end).failed).toEqual([
    expect.stringContaining(`${marker} at`),
  ]);
  expect(seenIn(withOutcome({ ...answered, attempts: 2 }), 0, end).failed).toEqual([
    expect.stringMatching(/sent 2 times/),
  ]);
});

test("one that was held for a minute is told by itself, and how long gateways took", () => {
  const invokedAt = events[chat]?.t ?? 0;
  const no = { type: "failed", id, code: "no_owner", status: 503, detail: "", attempts: 1 };
  const seen = (t: number) => seenIn(withOutcome({ ...no, t } as HistoryEvent), 0, end + t);
  expect(seen(invokedAt + 59_500)).toMatchObject({ failed: [], held: [expect.any(String)] });
  expect(seen(invokedAt + 58_500)).toMatchObject({ failed: [expect.any(String)], held: [] });
  const booting = { type: "process-up", shard: "s9", group: "s9/0", pid: 7, node: "a" } as const;
  const serving = { type: "lease", shard: "s9", owner: "a", epoch: 1, pid: 7 } as const;
  const boot: HistoryEvent[] = [
    { t: 1_000, ...booting },
    { t: 9_000, ...serving, state: "starting" },
    { t: 31_000, ...serving, state: "serving" },
  ];
  expect(seenIn(boot, 0, 40_000).longestBootMs).toBe(30_000);
  expect(seenIn(boot, 32_000, 40_000).longestBootMs).toBe(0);
});

test("one without an end is open, and nothing else", () => {
  const seen = seenIn(events.toSpliced(outcomeAt, 1), 0, end);
  expect(seen).toMatchObject({ failed: [], repeated: [] });
  expect(seen.open).toEqual([expect.stringContaining(marker)]);
});

test("a turn for which the model was asked twice, or never, is told", () => {
  const begun = events.findIndex((one) => one.type === "model-begin" && one.marker === marker);
  const call = events[begun] as Extract<HistoryEvent, { type: "model-begin" }>;
  const twice = [...events, { ...call, call: "another" }];
  expect(seenIn(twice, 0, end).repeated).toEqual([expect.stringContaining("2 calls")]);
  expect(
    seenIn([...twice, { ...call, call: "a third", continuation: true }], 0, end).repeated,
  ).toHaveLength(1);
  expect(seenIn(events.toSpliced(begun, 1), 0, end).repeated).toEqual([
    expect.stringContaining("0 calls"),
  ]);
});
