import { describe, expect, test } from "vitest";
import { check } from "../drill/checker.ts";
import { HOST_FAULT_NAMES } from "../drill/fault-names.ts";
import { answeredAgain, LOST_TURN, type Loss, lostAnswer } from "./lost-host.ts";
import type { World } from "./world.ts";

const violations = ({ header, events }: World, of: string) => {
  const expected = { telegram: true, cron: true, websocket: false, faults: [] };
  return check(header, events, expected).verdicts.find((one) => one.check === of)?.violations;
};

const LAST_SECOND: Loss = { fault: "power-off", hit: true, beforeMs: 900 };
const NOT_ALLOWED: [string, Loss][] = [
  ["more than its last second", { ...LAST_SECOND, beforeMs: 1_600 }],
  ["a killed gateway's last second", { ...LAST_SECOND, fault: "kill-gateway" }],
  ["that of a host without room on its disk", { ...LAST_SECOND, fault: "fill-disk" }],
  ["that of a host that was told to boot again", { ...LAST_SECOND, fault: "reboot" }],
  ["that of another host than the one that was lost", { ...LAST_SECOND, hit: false }],
  [
    "what a host said while it was not lost yet, under a fault that took it later",
    { ...LAST_SECOND, fault: "late-upload", faultBeforeMs: 8_000, beforeMs: 5_000 },
  ],
  ["that of a host on which the shard goes on", { ...LAST_SECOND, sameNode: true }],
];

describe("a host that is lost", () => {
  test.each(
    HOST_FAULT_NAMES.filter((name) => /^(power-off|lost-|drop-|cut-|pause-host|late-)/.test(name)),
  )("may take its last second with it (%s)", (fault) => {
    const world = answeredAgain({ ...LAST_SECOND, fault });
    expect(violations(world, "sessions")).toEqual([]);
    expect(violations(world, "turns")).toEqual([]);
  });

  test.each(NOT_ALLOWED)("excuses nothing else: not %s", (_, loss) => {
    expect(violations(lostAnswer(loss), "sessions")).toHaveLength(1);
    // Run again, and delivered again.
    expect(violations(answeredAgain(loss), "turns")).toHaveLength(2);
  });

  test("is lost from the moment that it is cut off, and may say more until its deadline", () => {
    const cut: Loss = { fault: "cut-from-hosts", hit: true, faultBeforeMs: 6_000, beforeMs: 5_000 };
    expect(violations(lostAnswer(cut), "sessions")).toEqual([]);
    expect(violations(lostAnswer({ ...cut, beforeMs: 6_900 }), "sessions")).toEqual([]);
    expect(violations(lostAnswer({ ...cut, beforeMs: 7_100 }), "sessions")).toHaveLength(1);
  });

  test("may take more when it is the second within seconds, for its replica may have been on the first", () => {
    const second = (faultBeforeMs: number): Loss => ({
      fault: "lost-before-manifest",
      hit: true,
      faultBeforeMs,
      beforeMs: 5_000,
      afterAnother: true,
    });
    expect(violations(lostAnswer(second(9_600)), "sessions")).toEqual([]);
    expect(violations(lostAnswer({ ...second(4_000), beforeMs: 5_100 }), "sessions")).toHaveLength(
      1,
    );
    expect(violations(lostAnswer(second(60_000)), "sessions")).toHaveLength(1);
  });

  test("is excused for an answer that was stored and came to its client later", () => {
    const late = ({ header, events }: World): World => {
      const second = events.filter((event) => event.type === "process-up").at(1)?.t ?? 0;
      const later = (event: World["events"][number]) =>
        event.type === "answered" && event.id === LOST_TURN ? { ...event, t: second + 50 } : event;
      return { header, events: events.map(later).sort((a, b) => a.t - b.t) };
    };
    expect(violations(late(lostAnswer(LAST_SECOND)), "sessions")).toEqual([]);
    const killed = { ...LAST_SECOND, fault: "kill-gateway" };
    expect(violations(late(lostAnswer(killed)), "sessions")).toHaveLength(1);
  });

  test("costs one line for an answer that several later prompts lack", () => {
    const [, [, loss]] = NOT_ALLOWED as [unknown, [string, Loss]];
    const [only, ...more] = violations(lostAnswer(loss), "sessions") ?? [];
    expect(more).toEqual([]);
    expect(only?.text).toMatch(/lacked 1, first turn-1057000000a1/);
  });
});
