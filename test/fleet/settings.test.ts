import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FleetConfig } from "../../gateway/config.ts";
import { textOf } from "../../gateway/model/answer.ts";
import { settingsFault } from "../../plugin/settings-check.ts";
import { cronMarker, newMarker } from "../drill/marker.ts";
import { type RecordingModel, startRecordingModel } from "../drill/model.ts";
import type { Peer } from "../drill/peer.ts";
import { startTelegram, type TelegramServer } from "../drill/telegram.ts";
import { eventually } from "../support/eventually.ts";
import { PrivateFleet } from "./private.ts";

const BOT = "778:a-token-of-the-test";
const PERSON = 2002;
const PATIENCE_MS = 240_000;
const EVERY_MS = 10_000;
const PAUSE_MS = 3_000;
const NONSENSE = { agents: { defaults: { nonsense: 1 } } };

interface Receipt {
  status: string;
  startedAt: number;
}

/** What a deployment changes in fleet.json while the fleet runs: two nodes, two shards, one story. */
describe.skipIf(!process.env.OPENCLAW_FLEET_OPENCLAW)(
  "settings of a live fleet",
  { timeout: 400_000 },
  () => {
    const history = PrivateFleet.history();
    const prompts: string[] = [];
    let world: PrivateFleet;
    let telegram: TelegramServer;
    let model: RecordingModel;
    let before: { pids: (number | null)[]; s2: string };

    beforeAll(async () => {
      let callerOf: (peer: Peer) => number | null = () => null;
      const caller = (peer: Peer) => callerOf(peer);
      telegram = await startTelegram(history, caller);
      model = await startRecordingModel(history, caller, (messages) => {
        prompts.push(messages.map((message) => textOf(message.content)).join("\n"));
      });
      world = await PrivateFleet.create(
        { nodes: 2, shards: 2, modelUrl: model.url },
        history,
        (known) => {
          callerOf = known;
        },
      );
      // A job of ten seconds would otherwise rest for two minutes after each start of its gateway.
      configure((config) => ({ ...config, openclaw: { cron: { skipMissedJobs: true } } }));
      await world.start();
      before = { pids: await pids(), s2: stampOf("s2") };
    }, 300_000);

    afterAll(async () => {
      await world?.[Symbol.asyncDispose]();
      await model?.close();
      await telegram?.close();
    }, 120_000);

    const configure = (change: (config: FleetConfig) => FleetConfig) =>
      world.fleet.configure(change);
    const pids = async () => (await world.fleet.status()).shards.map((shard) => shard.pid);
    const stateDir = (shard: string) => {
      const dir = join(world.fleet.dataDir, "shards", shard);
      return existsSync(join(dir, "state", "openclaw.json")) ? join(dir, "state") : dir;
    };
    const stampOf = (shard: string) => {
      const { ino, mtimeMs } = statSync(join(stateDir(shard), "openclaw.json"));
      return `${ino}:${mtimeMs}`;
    };
    /** One message to the bot; the prompt that it became. */
    const ask = async () => {
      const marker = newMarker();
      telegram.say(BOT, PERSON, `hello ${marker}`);
      await telegram.reply(BOT, marker, AbortSignal.timeout(PATIENCE_MS));
      return prompts.findLast((prompt) => prompt.includes(marker)) ?? "";
    };
    const polling = () => {
      const last = history.events.findLast(
        (event) => event.type === "poll-begin" || event.type === "poll-end",
      );
      // Between two polls of one that goes on there is no such pause.
      return last?.type === "poll-begin" || history.now() - (last?.t ?? 0) < PAUSE_MS;
    };
    const runs = () => receipts(stateDir("s1"), "openclaw-fleet:clerk:tick");

    test("an agent with a bot that is added answers, and nothing else is touched", async () => {
      world.agent("clerk", {
        shards: ["s1"],
        systemPrompt: "You are the first clerk.",
        channels: {
          telegram: {
            enabled: true,
            botToken: BOT,
            apiRoot: telegram.url,
            dmPolicy: "open",
            allowFrom: ["*"],
          },
        },
      });
      expect(await ask()).toContain("You are the first clerk.");
      expect(await pids()).toEqual(before.pids);
      expect(stampOf("s2")).toBe(before.s2);
    });

    test("a changed prompt is in the next turn", async () => {
      world.agent("clerk", { systemPrompt: "You are the second clerk." });
      await eventually(async () => {
        expect(await ask()).toContain("You are the second clerk.");
      }, PATIENCE_MS);
      expect(await pids()).toEqual(before.pids);
      expect(stampOf("s2")).toBe(before.s2);
    });

    test("a setting that OpenClaw refuses is told by a deployment before anything is written", async () => {
      const config = JSON.parse(
        readFileSync(join(world.fleet.dataDir, "fleet.json"), "utf8"),
      ) as FleetConfig;
      expect(await settingsFault(config)).toBeNull();
      expect(await settingsFault({ ...config, openclaw: NONSENSE })).toMatch(
        /agents\.defaults.*nonsense.*\(s1, s2\)/,
      );
    });

    test("written all the same, its reason is shown, and the gateway serves on, also after a crash", async () => {
      const good = { cron: { skipMissedJobs: true } };
      configure((config) => ({ ...config, openclaw: { ...good, ...NONSENSE } }));
      await world.until("a reason in status", ({ shards }) =>
        shards.every((shard) => shard.reason?.includes("nonsense")),
      );
      expect(await ask()).toContain("You are the second clerk.");
      expect(await pids()).toEqual(before.pids);
      const logs = world.fleet.nodes.map((node) =>
        readFileSync(join(world.fleet.dataDir, "nodes", node, "node.log"), "utf8"),
      );
      expect(logs.join("")).toMatch(/the settings of s1 are refused: agents\.defaults/);

      const killed = world.killGateway("s1");
      await world.until("s1 serves again", ({ shards }) =>
        shards.every((s) => s.state === "serving" && s.pid !== null && s.pid !== killed),
      );
      expect(await ask()).toContain("You are the second clerk.");

      configure((config) => ({ ...config, openclaw: good }));
      await world.until("no reason any more", ({ shards }) =>
        shards.every((shard) => !shard.reason?.includes("nonsense")),
      );
    });

    test("a job runs once a slot on its home shard, over a move and a kill", async () => {
      const job = {
        name: "tick",
        schedule: `every ${EVERY_MS / 1_000}s`,
        message: cronMarker("tick"),
        enabled: true,
        deliver: { channel: "telegram", to: String(PERSON) },
      };
      world.agent("clerk", { cron: [job] });
      const more = (count: number) =>
        expect.poll(() => runs().length, { timeout: PATIENCE_MS }).toBeGreaterThanOrEqual(count);
      await more(2);

      const { owner } = await world.shard("s1");
      const to = world.fleet.nodes.find((node) => node !== owner);
      await world.fleet.admin("/api/v1/fleet/move", { shard: "s1", to });
      await world.until(`s1 serves on ${to}`, ({ shards }) =>
        shards.some((s) => s.id === "s1" && s.owner === to && s.state === "serving"),
      );
      await more(runs().length + 2);

      world.killGateway("s1");
      await more(runs().length + 2);

      const anchor = anchorOf(stateDir("s1"), "openclaw-fleet:clerk:tick");
      // A run that the kill met is told apart by its status, and is not begun again in its slot.
      const slots = runs().map((run) => Math.floor((run.startedAt - anchor) / EVERY_MS));
      expect(slots).toEqual([...new Set(slots)]);
      expect(receipts(stateDir("s2"), "openclaw-fleet:clerk:tick")).toEqual([]);
      expect(runs().filter((run) => run.status === "error")).toEqual([]);
      expect(
        history.events.some(
          (e) =>
            e.type === "delivered" && e.chat === String(PERSON) && e.markers.includes(job.message),
        ),
      ).toBe(true);
      const asked = history.events.filter(
        (event) => event.type === "model-begin" && event.marker === cronMarker("tick"),
      );
      // A receipt is written before its model call, so the newest may be ahead. What the kill met is
      // asked once more at most, by OpenClaw's recovery.
      const met = runs().filter((run) => run.status === "interrupted").length;
      expect(met).toBeLessThanOrEqual(1);
      expect(asked.length).toBeLessThanOrEqual(runs().length + met);
      expect(asked.length).toBeGreaterThanOrEqual(4);
    });

    test("a changed job is changed hot, a removed one is gone, and with the agent its bot", async () => {
      const { pid } = await world.shard("s1");
      const changed = {
        name: "tick",
        schedule: `every ${EVERY_MS / 1_000}s`,
        message: cronMarker("tock"),
        enabled: true,
      };
      world.agent("clerk", { cron: [changed] });
      await expect
        .poll(() => prompts.some((prompt) => prompt.includes(cronMarker("tock"))), {
          timeout: PATIENCE_MS,
        })
        .toBe(true);
      world.agent("clerk", { cron: [] });
      await expect
        .poll(() => jobNames(stateDir("s1")), { timeout: PATIENCE_MS })
        .not.toContain("openclaw-fleet:clerk:tick");

      expect(polling()).toBe(true);
      world.agent("clerk", null);
      await expect.poll(polling, { timeout: PATIENCE_MS }).toBe(false);
      expect((await world.shard("s1")).pid).toBe(pid);
      expect(telegram.conflicts()).toBe(0);
    });
  },
);

function inDatabase<T>(stateDir: string, read: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(join(stateDir, "state", "openclaw.sqlite"), {
    readOnly: true,
    timeout: 5_000,
  });
  try {
    return read(db);
  } finally {
    db.close();
  }
}

const jobNames = (stateDir: string): string[] =>
  inDatabase(stateDir, (db) =>
    db
      .prepare("SELECT name FROM cron_jobs")
      .all()
      .map((row) => String(row.name)),
  );

/** What OpenClaw itself keeps of each run of a job. */
const receipts = (stateDir: string, job: string): Receipt[] =>
  inDatabase(stateDir, (db) =>
    db
      .prepare(
        `SELECT r.status, r.started_at_ms FROM cron_run_receipts r
         JOIN cron_jobs j ON j.job_id = r.job_id AND j.store_key = r.store_key
         WHERE j.name = ? ORDER BY r.started_at_ms`,
      )
      .all(job)
      .map((row) => ({ status: String(row.status), startedAt: Number(row.started_at_ms) })),
  );

/** Time from which the slots of an `every` job are counted. */
const anchorOf = (stateDir: string, job: string): number =>
  inDatabase(stateDir, (db) => {
    const row = db.prepare("SELECT job_json FROM cron_jobs WHERE name = ?").get(job);
    const { schedule } = JSON.parse(String(row?.job_json)) as { schedule: { anchorMs: number } };
    return schedule.anchorMs;
  });
