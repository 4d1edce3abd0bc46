import { expect, test } from "vitest";
import { CHANNEL_WATCH, ChannelWatch } from "../../../gateway/node/channel-watch.ts";
import type { GatewayPort } from "../../../gateway/openclaw/port.ts";
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
}

function world() {
  const time = new FakeTime();
  const logs: string[] = [];
  const state = { gateway: new BotGateway() as BotGateway | null, wanted: true };
  const watch = new ChannelWatch({
    gateway: () => state.gateway as GatewayPort | null,
    wanted: () => state.wanted,
    timers: time,
    log: (level, msg) => logs.push(`${level} ${msg}`),
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

test("it looks as long as OpenClaw may keep bots down, through failures, and then no more", async () => {
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
