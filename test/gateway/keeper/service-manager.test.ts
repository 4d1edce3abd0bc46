import { expect, test } from "vitest";
import { openServiceManager, ServiceManager } from "../../../gateway/keeper/service-manager.ts";
import { FakeTime } from "../shard/fakes.ts";

const WATCHDOG_MS = 60_000;

function managed(watchdogMs: number | null = WATCHDOG_MS) {
  const time = new FakeTime();
  const sent: string[][] = [];
  const send = (assignments: string[]) => sent.push(assignments);
  const manager = new ServiceManager({
    present: true,
    watchdogMs,
    clock: time.clock,
    timers: time,
    send,
  });
  const feeds = () => sent.filter((each) => each.includes("WATCHDOG=1")).length;
  return { time, sent, manager, feeds };
}
const well = { healthy: true, text: "2 shards here" };

/** As a supervisor speaks: every 2 s, for so long. */
async function speak(
  { time, manager }: ReturnType<typeof managed>,
  word: { healthy: boolean; text: string },
  seconds: number,
) {
  for (let spent = 0; spent < seconds; spent += 2) {
    manager.condition(word);
    await time.pass(2_000);
  }
}

test("the first word of the supervisor makes the service ready, with what it says of itself", async () => {
  const one = managed();
  await one.time.pass(10_000);
  expect(one.sent).toEqual([]);
  one.manager.condition(well);
  expect(one.sent).toEqual([["READY=1", "STATUS=2 shards here"]]);
});

test("the watchdog is fed while everything makes progress, also with the store away", async () => {
  const one = managed();
  await speak(one, well, 120);
  const before = one.feeds();
  expect(before).toBeGreaterThanOrEqual(7);
  await speak(one, { healthy: true, text: "2 shards here; the lease store is away" }, 600);
  expect(one.feeds() - before).toBeGreaterThanOrEqual(39);
});

test.each([
  ["a hung lease thread", { healthy: false, text: "the lease thread hangs" }],
  ["a supervisor that says nothing", null],
])("%s starves the watchdog in time", async (_, word) => {
  const one = managed();
  await speak(one, well, 120);
  if (word) await speak(one, word, 32);
  else await one.time.pass(32_000);
  const before = one.feeds();
  if (word) await speak(one, word, 600);
  else await one.time.pass(600_000);
  expect(one.feeds()).toBe(before);
});

test("a supervisor that is started anew within half a minute starves nothing", async () => {
  const one = managed();
  await speak(one, well, 60);
  const gapBegins = one.feeds();
  await one.time.pass(28_000);
  await speak(one, well, 16);
  expect(one.feeds()).toBeGreaterThan(gapBegins);
});

test("what changes is said at most once a second, the newest last", async () => {
  const one = managed(null);
  for (let n = 0; n < 100; n++) one.manager.condition({ healthy: true, text: `at\n${n}` });
  await one.time.pass(1_000);
  expect(one.sent).toEqual([["READY=1", "STATUS=at 0"], ["STATUS=at 99"]]);
});

test("without a service manager nothing is said", async () => {
  const time = new FakeTime();
  const sent: string[][] = [];
  const manager = new ServiceManager({
    present: false,
    watchdogMs: WATCHDOG_MS,
    clock: time.clock,
    timers: time,
    send: (assignments) => sent.push(assignments),
  });
  manager.condition(well);
  manager.stopping();
  manager.status("gone");
  await time.pass(120_000);
  expect(sent).toEqual([]);
});

test("what the service manager said is taken out of the environment that gateways inherit", () => {
  const env = { NOTIFY_SOCKET: "/run/none", WATCHDOG_USEC: "0", WATCHDOG_PID: "1", PATH: "/bin" };
  openServiceManager({ now: () => 0 }, env as NodeJS.ProcessEnv);
  expect(env).toEqual({ PATH: "/bin" });
});
