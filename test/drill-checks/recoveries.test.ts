import { expect, test } from "vitest";
import { check } from "../drill/checker.ts";
import type { HistoryEvent } from "../drill/history.ts";
import { LOST_TURN, lostAnswer } from "./lost-host.ts";

/** A turn whose gateway was killed behind its answer's row: the row is what the client gets, and OpenClaw runs it again. */
function recovered({ resumed = true, answeredLate = true }): string[] {
  const { header, events } = lostAnswer({ fault: "kill-gateway", hit: true, beforeMs: 500 });
  const second = events.filter((event) => event.type === "process-up").at(1);
  if (!second) throw new Error("the world has no crash");
  const { t, pid } = second;
  const said = { resumed, continuation: false, asked: [LOST_TURN], told: [] };
  const changed: HistoryEvent[] = events.map((event) =>
    answeredLate && event.type === "answered" && event.id === LOST_TURN
      ? { ...event, t: t + 1_000, epoch: 2 }
      : event,
  );
  changed.push(
    { t: t + 2_000, type: "model-begin", call: "recovery", marker: LOST_TURN, pid, ...said },
    { t: t + 2_100, type: "model-end", call: "recovery", outcome: "answered" },
  );
  changed.sort((a, b) => a.t - b.t);
  const expected = { telegram: true, cron: true, websocket: false, faults: [] };
  const verdict = check(header, changed, expected).verdicts.find(
    ({ check: name }) => name === "turns",
  );
  return verdict?.violations.map(({ text }) => text) ?? [];
}

test("OpenClaw's own recovery may ask the model once more for a turn that a crash met before its end", () => {
  expect(recovered({})).toEqual([]);
});

test("nobody else may, and not for a turn whose client had its answer before the crash", () => {
  expect(recovered({ resumed: false })).toEqual([
    expect.stringMatching(/ran again .* after its answer/),
  ]);
  expect(recovered({ answeredLate: false })).toEqual([
    expect.stringMatching(/ran again .* after its answer/),
  ]);
});
