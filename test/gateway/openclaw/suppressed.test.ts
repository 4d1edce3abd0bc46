import { describe, expect, test } from "vitest";
import { suppressedAccounts } from "../../../gateway/openclaw/suppressed.ts";

/** As OpenClaw 2026.9.6 was seen to answer. */
const account = (more: object) => ({
  accountId: "main",
  enabled: true,
  configured: true,
  running: false,
  restartPending: false,
  lastStartAt: null,
  lastStopAt: null,
  lastError: null,
  ...more,
});
const BREAKER =
  "gateway restart-loop breaker tripped: 3 unclean boot(s) within 300000ms; suppressing channel/provider account auto-start.";
const look = (accounts: object[], before = false) => {
  const { tripped, down } = suppressedAccounts({ channelAccounts: { telegram: accounts } }, before);
  return { tripped, down: down.map((one) => `${one.channel}/${one.account}`) };
};

describe("bots that OpenClaw's breaker keeps down", () => {
  test("are those that say so, and then every other that is wanted", () => {
    const said = account({ lastError: BREAKER, lifecycle: "stopped" });
    const added = account({ accountId: "bob" });
    const stopped = account({ accountId: "eve", lastStartAt: 1, lastStopAt: 2 });
    expect(look([said, added, stopped])).toEqual({
      tripped: true,
      down: ["telegram/main", "telegram/bob", "telegram/eve"],
    });
    expect(look([stopped], true).down).toEqual(["telegram/eve"]);
  });

  test("without the breaker only what nobody ever touched is started", () => {
    expect(look([account({})])).toEqual({ tripped: false, down: ["telegram/main"] });
    expect(look([account({ lastStartAt: 1, lastStopAt: 2 })]).down).toEqual([]);
    expect(look([account({ lastError: "401: Unauthorized" })]).down).toEqual([]);
  });

  test.each([
    ["runs", { running: true }],
    ["is switched off", { enabled: false }],
    ["has no token", { configured: false }],
    ["is about to start again", { restartPending: true }],
  ])("a bot that %s is left alone", (_, state) => {
    expect(look([account({ lastError: BREAKER, ...state })]).down).toEqual([]);
  });

  test.each([[null], [{}], [{ channelAccounts: { telegram: "?" } }]])(
    "%j says nothing",
    (status) => {
      expect(suppressedAccounts(status, false)).toEqual({ tripped: false, down: [] });
    },
  );
});
