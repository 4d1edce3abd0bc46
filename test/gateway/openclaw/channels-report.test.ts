import { expect, test } from "vitest";
import { channelsReport } from "../../../gateway/openclaw/channels-report.ts";

/** As OpenClaw 2026.9.6 was seen to answer. */
const account = (more: object) => ({
  accountId: "main",
  enabled: true,
  configured: true,
  running: true,
  connected: true,
  restartPending: false,
  reconnectAttempts: 0,
  lastError: null,
  ...more,
});
const report = (...accounts: object[]) =>
  channelsReport({ channelAccounts: { telegram: accounts } });
const whyOf = (more: object) => report(account(more)).down[0]?.why ?? null;

test("bots are counted, and those down named by channel and account", () => {
  const blocked = account({ accountId: "bob", running: false, lifecycle: "blocked" });
  expect(report(account({}), blocked)).toEqual({
    bots: 2,
    down: [{ bot: "telegram/bob", why: "it is blocked" }],
  });
  expect(channelsReport({})).toEqual({ bots: 0, down: [] });
  expect(channelsReport(null)).toEqual({ bots: 0, down: [] });
});

test.each([
  ["refused at its start", { running: false, terminalDisconnect: true, lastError: "401" }, "401"],
  ["stopped", { running: false }, "it does not run"],
  ["about to be started again", { running: false, restartPending: true, lastError: "E" }, "E"],
  ["without its token", { running: undefined, configured: false }, "its settings are not complete"],
  ["cut off", { connected: false, lastError: "ETIMEDOUT" }, "ETIMEDOUT"],
  ["started in vain", { connected: false, reconnectAttempts: 3 }, "it does not get connected"],
  ["only just connecting", { connected: false, lifecycle: "starting" }, null],
  ["well after an error", { lastError: "once" }, null],
  [
    "of a channel that says nothing of its state",
    { running: undefined, connected: undefined },
    null,
  ],
])("a bot that is %s", (_, state, why) => {
  expect(whyOf(state)).toBe(why);
});

test("neither what a person disabled nor a channel that nobody configured counts", () => {
  const unset = account({ accountId: "default", configured: false, running: false });
  expect(report(account({ enabled: false, running: false }), unset)).toEqual({ bots: 0, down: [] });
});

test("a reason is short, and holds no token", () => {
  const lastError = `GET /bot123456789:${"A".repeat(35)}/getMe ${"x".repeat(1_000)}`;
  const why = whyOf({ running: false, lastError });
  expect(why).toMatch(/^GET \/bot\*\*\*\/getMe x/);
  expect(why?.length).toBeLessThanOrEqual(300);
});
