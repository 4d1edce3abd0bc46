import { expect, test } from "vitest";
import type { ChannelsReport } from "../../../gateway/contract.ts";
import { CHANNEL_WATCH, ChannelWatch } from "../../../gateway/node/channel-watch.ts";
import type { GatewayPort, Reopenings } from "../../../gateway/openclaw/port.ts";
import { FakeGateway, FakeTime } from "../shard/fakes.ts";

const WINDOW_MS =
  CHANNEL_WATCH.soonMs * CHANNEL_WATCH.soonLooks + CHANNEL_WATCH.laterMs * CHANNEL_WATCH.laterLooks;

class BotGateway extends FakeGateway {
  looks = 0;
  down: string[] = [];
  fails = false;
  override async ensureChannels(): Promise<string[]> {
    this.looks += 1;
    if (this.fails) throw new Error("not connected");
    return this.down.splice(0);
  }
  shut: string[] = [];
  looked: boolean[] = [];
  refused: Reopenings["refused"] = [];
  override async reopenBots(all = false): Promise<Reopenings> {
    this.looked.push(all);
    return { opened: this.shut.splice(0), refused: this.refused.splice(0) };
  }
  asked = 0;
  answer: ChannelsReport = { bots: 1, down: [] };
  override async channels(): Promise<ChannelsReport> {
    this.asked += 1;
    return this.answer;
  }
}

function world() {
  const time = new FakeTime();
  const logs: string[] = [];
  const state = { gateway: new BotGateway() as BotGateway | null, wanted: true, changes: 0 };
  const watch = new ChannelWatch({
    gateway: () => state.gateway as GatewayPort | null,
    wanted: () => state.wanted,
    timers: time,
    log: (level, msg) => logs.push(`${level} ${msg}`),
    onChange: () => {
      state.changes += 1;
    },
  });
  return { time, logs, state, watch };
}

test("a bot that is down is started at once, and one that a later change stopped soon", async () => {
  const { time, logs, state, watch } = world();
  const gateway = state.gateway as BotGateway;
  gateway.down = ["telegram/main"];
  watch.watch("s1");
  await time.pass(0);
  expect(logs).toEqual([
    "info started telegram/main, which OpenClaw kept down after repeated crashes",
  ]);
  gateway.down = ["telegram/bob"];
  await time.pass(CHANNEL_WATCH.soonMs);
  expect(logs).toHaveLength(2);
});

test("a conversation that OpenClaw closed is opened again soon, one of long ago within some looks", async () => {
  const { time, logs, state, watch } = world();
  const gateway = state.gateway as BotGateway;
  watch.watch("s1");
  await time.pass(0);
  gateway.shut = ["agent:main:main"];
  await time.pass(CHANNEL_WATCH.soonMs);
  expect(logs).toEqual([
    "warn agent:main:main is open again, which OpenClaw had closed after repeated crashes",
  ]);
  gateway.refused = [{ key: "agent:main:large", why: "too large" }];
  await time.pass(CHANNEL_WATCH.soonMs);
  expect(logs[1]).toMatch(
    /^warn agent:main:large stays closed.*until somebody says \/new: too large$/,
  );
  await time.pass(WINDOW_MS);
  const every = gateway.looked.flatMap((all, look) => (all ? [look] : []));
  expect(every[0]).toBe(CHANNEL_WATCH.everyLooks - 1);
  expect(every[1]).toBe(2 * CHANNEL_WATCH.everyLooks - 1);
});

test("it starts bots as long as OpenClaw may keep them down, through failures, and then no more", async () => {
  const { time, logs, state, watch } = world();
  const gateway = state.gateway as BotGateway;
  gateway.fails = true;
  watch.watch("s1");
  await time.pass(WINDOW_MS);
  expect(gateway.looks).toBe(1 + CHANNEL_WATCH.soonLooks + CHANNEL_WATCH.laterLooks);
  expect(logs).toEqual(["warn the channels could not be looked at: not connected"]);
  await time.pass(WINDOW_MS);
  expect(gateway.looks).toBe(1 + CHANNEL_WATCH.soonLooks + CHANNEL_WATCH.laterLooks);
});

test("how bots do is reported for as long as their gateway serves, and told when it changes", async () => {
  const { time, logs, state, watch } = world();
  const gateway = state.gateway as BotGateway;
  expect(watch.report("s1")).toBeNull();
  watch.watch("s1");
  await time.pass(0);
  expect(watch.report("s1")).toEqual({ bots: 1, down: [] });
  await time.pass(WINDOW_MS);
  expect(state.changes).toBe(1);
  const { looks } = gateway;
  const revoked = { bots: 1, down: [{ bot: "telegram/main", why: "Unauthorized" }] };
  gateway.answer = revoked;
  await time.pass(CHANNEL_WATCH.idleMs);
  expect(watch.report("s1")).toEqual(revoked);
  expect([state.changes, logs]).toEqual([2, ["warn telegram/main reaches nobody: Unauthorized"]]);
  gateway.answer = { bots: 1, down: [] };
  await time.pass(CHANNEL_WATCH.laterMs);
  expect(watch.report("s1")?.down).toEqual([]);
  expect([state.changes, logs.length, gateway.looks]).toEqual([3, 1, looks]);
  state.gateway = new BotGateway();
  expect(watch.report("s1")).toBeNull();
});

test("a shard whose bots were taken out of the settings reports none", async () => {
  const { time, state, watch } = world();
  watch.watch("s1");
  await time.pass(0);
  state.wanted = false;
  expect(watch.report("s1")).toBeNull();
});

test("a gateway that serves no more is left alone", async () => {
  const { time, state, watch } = world();
  const gateway = state.gateway as BotGateway;
  watch.watch("s1");
  await time.pass(0);
  state.gateway = new BotGateway();
  await time.pass(WINDOW_MS);
  expect([gateway.looks, state.gateway.looks]).toEqual([1, 0]);
});

test("a shard without a bot of its own is never asked", async () => {
  const { time, state, watch } = world();
  state.wanted = false;
  watch.watch("s1");
  await time.pass(WINDOW_MS);
  expect(state.gateway?.looks).toBe(0);
});

test("a new watch takes the place of the old one, and close ends it", async () => {
  const { time, state, watch } = world();
  watch.watch("s1");
  watch.watch("s1");
  await time.pass(0);
  expect(state.gateway?.looks).toBe(1);
  watch.close();
  await time.pass(WINDOW_MS);
  expect(state.gateway?.looks).toBe(1);
});
