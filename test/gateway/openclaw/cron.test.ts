import { describe, expect, test } from "vitest";
import {
  type CronJobSeen,
  type CronJobWish,
  parseSchedule,
  planCron,
} from "../../../gateway/openclaw/cron.ts";

const wish = (more: Partial<CronJobWish> = {}): CronJobWish => ({
  agent: "main",
  name: "daily",
  schedule: "0 9 * * *",
  timezone: "Europe/Berlin",
  message: "report",
  enabled: true,
  ...more,
});
const seen = (more: Partial<CronJobSeen> = {}): CronJobSeen => ({
  id: "1",
  name: "openclaw-fleet:main:daily",
  agentId: "main",
  enabled: true,
  schedule: { kind: "cron", expr: "0 9 * * *", tz: "Europe/Berlin" },
  payload: { kind: "agentTurn", message: "report" },
  delivery: { mode: "none" },
  ...more,
});
const NOTHING = { add: [], update: [], remove: [] };

describe("cron jobs", () => {
  test("a job that is as wished is left alone, whatever else OpenClaw added to it", () => {
    const job = { ...seen(), state: { nextRunAtMs: 1 }, updatedAtMs: 2 };
    expect(planCron([wish()], [job])).toEqual(NOTHING);
  });

  test("a missing job is added, a superfluous one of ours removed", () => {
    expect(planCron([wish()], []).add).toMatchObject([
      { name: "openclaw-fleet:main:daily", agentId: "main", payload: { message: "report" } },
    ]);
    expect(planCron([], [seen()])).toEqual({ ...NOTHING, remove: [{ id: "1" }] });
  });

  test.each([
    ["message", { message: "other" }],
    ["schedule", { schedule: "0 8 * * *" }],
    ["timezone", { timezone: undefined }],
    ["enabled", { enabled: false }],
    ["deliver", { deliver: { channel: "telegram", to: "1" } }],
  ])("a change of %s is an update of the same job", (_, change) => {
    const plan = planCron([wish(change)], [seen()]);
    expect(plan).toMatchObject({ add: [], remove: [], update: [{ id: "1" }] });
  });

  test("an answer is sent where the job says, and nowhere by itself", () => {
    expect(planCron([wish()], []).add).toMatchObject([{ delivery: { mode: "none" } }]);
    const sent = wish({ deliver: { channel: "telegram", to: "1", account: "main" } });
    const delivery = { mode: "announce", channel: "telegram", to: "1", accountId: "main" };
    expect(planCron([sent], []).add).toMatchObject([{ delivery }]);
    expect(planCron([sent], [seen({ delivery })])).toEqual(NOTHING);
    expect(planCron([sent], [seen({ delivery: { ...delivery, to: "2" } })]).update).toHaveLength(1);
  });

  test("jobs that are not ours are never touched", () => {
    expect(planCron([], [seen({ name: "heartbeat-main" }), seen({ name: "my own" })])).toEqual(
      NOTHING,
    );
  });

  test("a double of ours is removed", () => {
    expect(planCron([wish()], [seen(), seen({ id: "2" })])).toEqual({
      ...NOTHING,
      remove: [{ id: "2" }],
    });
  });

  test("schedules", () => {
    expect(parseSchedule("every 10m")).toEqual({ kind: "every", everyMs: 600_000 });
    expect(parseSchedule('every: "2h"')).toEqual({ kind: "every", everyMs: 7_200_000 });
    expect(parseSchedule(" */5 * * * * ")).toEqual({ kind: "cron", expr: "*/5 * * * *" });
  });
});
