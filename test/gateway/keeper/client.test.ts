import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { type Channel, KeeperClient, writeExtend } from "../../../gateway/keeper/client.ts";
import { KeeperRefused } from "../../../gateway/keeper/port.ts";
import type { KeeperCommand, KeeperEvent } from "../../../gateway/keeper/protocol.ts";
import { FakeTime } from "../shard/fakes.ts";

class FakeChannel extends EventEmitter implements Channel {
  connected = true;
  answersPings = true;
  readonly sent: KeeperCommand[] = [];

  send(command: KeeperCommand, done?: (error: Error | null) => void): boolean {
    this.sent.push(command);
    done?.(null);
    if (command.op === "ping" && this.answersPings) {
      setImmediate(() => this.say({ event: "pong", n: command.n }));
    }
    return true;
  }

  say(event: KeeperEvent): void {
    this.emit("message", event);
  }

  ops(): string[] {
    return this.sent.map(({ op }) => op).filter((op) => op !== "ping");
  }
}

function setup() {
  const time = new FakeTime();
  const channel = new FakeChannel();
  const lost: string[] = [];
  const cleared: string[] = [];
  const client = new KeeperClient({
    channel,
    clock: time.clock,
    timers: time,
    onLost: (why) => lost.push(why),
    clearCage: async (cage) => {
      cleared.push(cage);
    },
  });
  return { time, channel, client, lost, cleared };
}

const command = { shard: "s1", epoch: 3, command: "/x", args: [], cwd: "/", env: {}, deadline: 1 };

async function started(client: KeeperClient, channel: FakeChannel): Promise<void> {
  const starting = client.start(command);
  channel.say({ event: "started", shard: "s1", epoch: 3, pid: 7, cage: "session:f/n/s1-3" });
  expect(await starting).toEqual({ pid: 7, cage: "session:f/n/s1-3" });
}

test("start resolves with pid and cage, or rejects with the keeper's words", async () => {
  const { client, channel } = setup();
  await started(client, channel);
  await expect(client.start(command)).rejects.toThrow(KeeperRefused);
  channel.say({ event: "empty", shard: "s1", epoch: 3, fenced: false });
  const again = client.start(command);
  channel.say({ event: "refused", shard: "s1", epoch: 3, message: "no such program" });
  await expect(again).rejects.toThrow("no such program");
  client.close();
});

test("kill resolves when the cage is empty, for everybody who asked", async () => {
  const { client, channel } = setup();
  await started(client, channel);
  let ended = 0;
  const kills = [client.kill("s1", 3, "a"), client.kill("s1", 3, "b")].map((kill) =>
    kill.then(() => {
      ended += 1;
    }),
  );
  channel.say({ event: "empty", shard: "s1", epoch: 2, fenced: false });
  await Promise.resolve();
  expect(ended).toBe(0);
  channel.say({ event: "empty", shard: "s1", epoch: 3, fenced: false });
  await Promise.all(kills);
  expect(ended).toBe(2);
  client.close();
});

test("clear resolves, or rejects on a name that nobody here gave", async () => {
  const { client, channel } = setup();
  const good = client.clear("s1", "session:f/n/s1-2");
  channel.say({ event: "cleared", shard: "s1", cage: "session:f/n/s1-2" });
  await good;
  const bad = client.clear("s1", "/sys/fs/cgroup");
  channel.say({ event: "not-cleared", shard: "s1", cage: "/sys/fs/cgroup", message: "foreign" });
  await expect(bad).rejects.toThrow("foreign");
  client.close();
});

test("a keeper that answers is never lost", async () => {
  const { time, lost, client } = setup();
  await time.pass(60_000);
  expect(lost).toEqual([]);
  client.close();
});

test("a silent keeper is lost after 3 s: every cage is cleared from here", async () => {
  const { time, channel, client, lost, cleared } = setup();
  await started(client, channel);
  await time.pass(5_000);
  channel.answersPings = false;
  await time.pass(2_500);
  expect(lost).toEqual([]);
  await time.pass(1_500);
  expect(lost).toHaveLength(1);
  expect(cleared).toEqual(["session:f/n/s1-3"]);
  await time.pass(10_000);
  expect(lost).toHaveLength(1);
});

test("a channel that closes is lost at once; pending starts fail", async () => {
  const { channel, client, lost, cleared } = setup();
  await started(client, channel);
  const starting = client.start({ ...command, shard: "s2" });
  channel.connected = false;
  channel.emit("disconnect");
  expect(lost).toEqual(["the keeper is gone"]);
  expect(cleared).toEqual(["session:f/n/s1-3"]);
  await expect(starting).rejects.toThrow("the keeper is gone");
});

test("a sleep of this side is no silence of the keeper", async () => {
  const { time, lost, client } = setup();
  await time.pass(1_000);
  time.sleep(60_000);
  await time.pass(10_000);
  expect(lost).toEqual([]);
  client.close();
});

test("after quit the end of the keeper is expected", async () => {
  const { channel, client, lost } = setup();
  await client.quit();
  expect(channel.ops()).toEqual(["quit"]);
  channel.emit("disconnect");
  expect(lost).toEqual([]);
});

test("extending on a pipe that is gone throws", () => {
  expect(() => writeExtend({ deadline: 1, shards: {} }, 987_654)).toThrow(/EBADF/);
});
