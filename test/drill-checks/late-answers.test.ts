import { expect, test } from "vitest";
import { check } from "../drill/checker.ts";
import type { FaultKind, HistoryEvent } from "../drill/history.ts";
import { LOST_TURN, lostAnswer } from "./lost-host.ts";

/** An answer under the first epoch that its client gets when the second one has been there for so long, ms. */
function late(kind: FaultKind, { byMs = 8_000, madeBefore = true }): string[] {
  const { header, events } = lostAnswer({ fault: "cut-one-way", hit: true, beforeMs: 500 });
  const second = events.filter((event) => event.type === "process-up").at(1);
  if (!second) throw new Error("the world has no second owner");
  const call = events.find((event) => event.type === "model-begin" && event.marker === LOST_TURN);
  const changed = events.map((event): HistoryEvent => {
    if (event.type === "fault") return { ...event, kind };
    if (event.type === "answered" && event.id === LOST_TURN) {
      return { ...event, t: second.t + byMs };
    }
    if (event.type !== "model-end" || call?.type !== "model-begin") return event;
    return event.call === call.call && !madeBefore ? { ...event, t: second.t + 10 } : event;
  });
  changed.sort((a, b) => a.t - b.t);
  const expected = { telegram: true, cron: true, websocket: false, faults: [] };
  const verdict = check(header, changed, expected).verdicts.find(
    ({ check: name }) => name === "epochs",
  );
  return verdict?.violations.map(({ text }) => text) ?? [];
}

const OLDER = [expect.stringMatching(/answered under epoch 1 .* though epoch 2 was there/)];

test("an answer that a cut network held up may come when the next owner is there", () => {
  expect(late("pause", {})).toEqual([]);
});

test("without a cut it may not, nor long after one, nor when it was made after that owner came", () => {
  expect(late("crash", {})).toEqual(OLDER);
  expect(late("pause", { byMs: 60_000 })).toEqual(OLDER);
  expect(late("pause", { madeBefore: false })).toEqual(OLDER);
});
