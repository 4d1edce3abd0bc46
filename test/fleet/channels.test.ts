import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { indexHistory } from "../drill/checks/index.ts";
import { oneOwner } from "../drill/checks/owners.ts";
import { onePoller } from "../drill/checks/turns.ts";
import { newMarker } from "../drill/marker.ts";
import { type RecordingModel, startRecordingModel } from "../drill/model.ts";
import type { Peer } from "../drill/peer.ts";
import { readProcess } from "../drill/processes.ts";
import { startTelegram, type TelegramServer } from "../drill/telegram.ts";
import { PrivateFleet } from "./private.ts";
import { copies, isInTurn, spendRecovery, transcript } from "./spent-recovery.ts";

const BOT = "777:a-token-of-the-test";
const PERSON = 1001;
const SHARD = "s1";
const ANSWER_MS = 240_000;

/** One story: a bot at home on one shard of two nodes, and everything that may happen to its owner. */
describe.skipIf(!process.env.OPENCLAW_FLEET_OPENCLAW)(
  "an agent with a Telegram bot",
  { timeout: 400_000 },
  () => {
    const history = PrivateFleet.history();
    let world: PrivateFleet;
    let telegram: TelegramServer;
    let model: RecordingModel;

    beforeAll(async () => {
      let callerOf: (peer: Peer) => number | null = () => null;
      const caller = (peer: Peer) => callerOf(peer);
      telegram = await startTelegram(history, caller);
      model = await startRecordingModel(history, caller);
      const telegramBot = {
        enabled: true,
        botToken: BOT,
        apiRoot: telegram.url,
        dmPolicy: "open",
        allowFrom: ["*"],
      };
      world = await PrivateFleet.create(
        {
          nodes: 2,
          shards: 1,
          modelUrl: model.url,
          agent: { channels: { telegram: telegramBot } },
        },
        history,
        (known) => {
          callerOf = known;
        },
      );
      await world.start();
    }, 300_000);

    afterAll(async () => {
      await world?.[Symbol.asyncDispose]();
      await model?.close();
      await telegram?.close();
    }, 120_000);

    const say = (turnMs = 0) => {
      const marker = newMarker();
      telegram.say(BOT, PERSON, `hello ${marker} [[delay=${turnMs}]]`);
      return { marker, answer: telegram.reply(BOT, marker, AbortSignal.timeout(ANSWER_MS)) };
    };
    const answered = async () => {
      const { marker, answer } = say();
      expect(await answer).toContain(marker);
    };
    const times = (type: "model-begin" | "delivered", marker: string) =>
      history.events.filter((event) =>
        event.type === "model-begin"
          ? type === event.type && event.marker === marker && !event.continuation
          : event.type === "delivered" && type === event.type && event.markers.includes(marker),
      ).length;

    test("answers", answered);

    test("answers again after its gateway was killed, also what was said meanwhile", async () => {
      world.killGateway(SHARD);
      await answered();
    });

    test("answers once more at most what a crash of its gateway interrupted", async () => {
      const { marker, answer } = say(4_000);
      await expect.poll(() => times("model-begin", marker), { timeout: ANSWER_MS }).toBe(1);
      world.killGateway(SHARD);
      expect(await answer).toContain(marker);
      expect(times("model-begin", marker)).toBeLessThanOrEqual(2);
      await answered();
      expect(times("delivered", marker)).toBeLessThanOrEqual(2);
    });

    test("answers again after its owner's node was killed", async () => {
      const { owner } = await world.shard(SHARD);
      world.killNode(owner, [SHARD]);
      await answered();
      expect((await world.shard(SHARD)).owner).not.toBe(owner);
      await world.fleet.startNode(owner);
      await world.serving();
    });

    test("answers again after a planned move", async () => {
      const { owner } = await world.shard(SHARD);
      const to = world.fleet.nodes.find((node) => node !== owner);
      await world.fleet.admin("/api/v1/fleet/move", { shard: SHARD, to });
      await world.until(`${SHARD} serves on ${to}`, ({ shards }) =>
        shards.every((shard) => shard.owner === to && shard.state === "serving"),
      );
      await answered();
      await world.fleet.admin("/api/v1/fleet/move", { shard: SHARD, to: "auto" });
    });

    test("answers again after its owner's supervisor was stopped", async () => {
      const { owner, epoch } = await world.shard(SHARD);
      const pid = world.fleet.supervisorPid(owner) as number;
      const victim = readProcess(pid);
      process.kill(pid, "SIGSTOP");
      try {
        await world.until("a new epoch", ({ shards }) =>
          shards.some((shard) => shard.epoch > epoch && shard.state === "serving"),
        );
        await answered();
      } finally {
        if (victim && readProcess(pid)?.start === victim.start) process.kill(pid, "SIGCONT");
      }
      await world.serving();
    });

    test("answers again after four kills in a row, which trip OpenClaw's breaker", async () => {
      for (let kill = 0; kill < 4; kill++) {
        const killed = world.killGateway(SHARD);
        await world.until("another gateway", ({ shards }) =>
          shards.every(
            (shard) => shard.pid !== null && shard.pid !== killed && shard.state === "serving",
          ),
        );
      }
      await answered();
    });

    test("answers what was asked, with its history, after OpenClaw closed the conversation", async () => {
      const { owner } = await world.shard(SHARD);
      const before = say();
      expect(await before.answer).toContain(before.marker);
      const { marker, answer } = say(15_000);
      await expect.poll(() => times("model-begin", marker), { timeout: ANSWER_MS }).toBe(1);
      const state = join(world.fleet.dataDir, "shards", SHARD, "state");
      await expect.poll(() => isInTurn(state), { timeout: 12_000 }).toBe(true);
      for (const node of world.fleet.nodes) world.killNode(node, node === owner ? [SHARD] : []);
      spendRecovery(state);
      for (const node of world.fleet.nodes) await world.fleet.startNode(node);
      await world.serving();
      // OpenClaw says that it gave up; the answer comes all the same.
      expect(await answer).toContain(marker);
      await answered();
      expect(transcript(state)).toContain(before.marker);
      // The copy by which it was opened is gone.
      await expect.poll(() => copies(state), { timeout: ANSWER_MS }).toEqual([]);
    });

    test("was polled by one process at a time, and never answered twice without a crash", () => {
      world.watch.look();
      const index = indexHistory(history.events);
      expect(onePoller(index).violations).toEqual([]);
      expect(oneOwner(index, [SHARD]).violations).toEqual([]);
      expect(telegram.conflicts()).toBe(0);
      const polls = history.events.filter((event) => event.type === "poll-begin");
      // A poll is not told whose it is when it comes before the watch has seen the new process.
      const pollers = new Set(polls.flatMap(({ pid }) => (pid === null ? [] : [pid])));
      expect(pollers.size).toBeGreaterThanOrEqual(3);
      const markers = history.events.flatMap((e) => (e.type === "model-begin" ? [e.marker] : []));
      for (const marker of new Set(markers)) {
        const midCrash = index.groups.some((group) =>
          index.calls.some(
            (c) => c.begin.marker === marker && c.group === group && c.end?.outcome !== "answered",
          ),
        );
        expect(times("delivered", marker as string)).toBeLessThanOrEqual(midCrash ? 2 : 1);
      }
    });
  },
);
