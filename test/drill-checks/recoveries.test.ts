import { expect, test } from "vitest";
import { check } from "../drill/checker.ts";
import type { HistoryEvent } from "../drill/history.ts";
import { LOST_TURN, lostAnswer } from "./lost-host.ts";
import { lawfulWorld } from "./world.ts";

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

test("a call that came after its gateway had ended tells of that end; one that is answered does not", () => {
  const world = lawfulWorld({ seed: 3, shards: 1, turns: 6, crashes: 1 });
  const turn = world.events.find((event) => event.type === "model-begin");
  if (turn?.type !== "model-begin") throw new Error("the world has no turn");
  const verdict = (outcome: "aborted" | "answered", afterMs: number) => {
    const call = { ...turn, t: turn.t - 5_000, call: "orphan", pid: null };
    const end = { t: call.t + afterMs, type: "model-end", call: "orphan", outcome } as const;
    const events = [...world.events, call, end].sort((a, b) => a.t - b.t);
    const expected = { telegram: true, cron: true, websocket: false, faults: [] };
    const { verdicts } = check(world.header, events, expected);
    return verdicts.find(({ check: name }) => name === "turns")?.violations.length;
  };
  expect(verdict("aborted", 20)).toBe(0);
  expect(verdict("aborted", 3_000)).toBe(1);
  expect(verdict("answered", 20)).toBe(1);
});
