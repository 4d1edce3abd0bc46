import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { GatewayPort } from "../../../gateway/openclaw/port.ts";
import type { Endpoint, Runner, RunnerEvent, RunnerReport } from "../../../gateway/shard/types.ts";
import { keepState } from "../../../gateway/supervisor/kept-state.ts";
import { type TrialState, Trials } from "../../../gateway/supervisor/trials.ts";

const OLD = "1.0.0+x";
const NEW = "2.0.0+x";
const mine = () => true;

/** One shard, with everything that a trial asks for. */
class World {
  readonly folder = mkdtempSync(join(tmpdir(), "fleet-trial-"));
  readonly state: TrialState = {
    epoch: 3,
    release: OLD,
    stateDir: join(this.folder, "state"),
    broughtHere: false,
  };
  /** What happened, in order. */
  readonly did: string[] = [];
  endpoint: Endpoint | null = null;
  /** What a turn says, one after the other; null: an answer. */
  readonly turns: (string | null)[] = [];
  lost = false;
  now = 0;
  readonly trials = new Trials({
    runner: () =>
      ({
        report: () => ({ endpoint: this.endpoint }) as RunnerReport,
        restart: (why: string) => {
          this.did.push(`restart: ${why}`);
          this.endpoint = null;
        },
      }) as unknown as Runner,
    replica: {
      hold: async (_, __, release) => {
        this.did.push(`hold ${release}`);
      },
    },
    ask: async () => {
      const fault = this.turns.shift() ?? null;
      this.did.push("ask");
      if (fault !== null) throw new Error(fault);
    },
    publish: async (_, epoch, release) => {
      if (this.lost) throw new Error("it was lost");
      this.did.push(`publish ${epoch} ${release}`);
    },
    log: () => {},
    now: () => this.now,
    remember: (event) => this.did.push(event),
  });

  constructor() {
    mkdirSync(this.state.stateDir);
    this.write("old");
  }

  write(text: string): void {
    writeFileSync(join(this.state.stateDir, "note"), text);
  }

  get note(): string {
    return readFileSync(join(this.state.stateDir, "note"), "utf8");
  }

  get beside(): string[] {
    return readdirSync(this.folder).filter((name) => name !== "state");
  }

  prepare(): Promise<string> {
    return this.trials.prepare("s1", this.state, mine);
  }

  /** A gateway of the new one runs, and has written something. The end is wrapped: it is not waited for. */
  async begin() {
    const end = this.trials.begin("s1", this.state, NEW);
    expect(await this.prepare()).toBe(NEW);
    this.write("new");
    return { end };
  }

  prove(): Promise<boolean> {
    const gateway = {} as GatewayPort;
    this.endpoint = { host: "127.0.0.1", port: 1, token: "t", gateway };
    return this.trials.prove("s1");
  }

  heard(event: Partial<RunnerEvent>): boolean {
    return this.trials.heard("s1", event as RunnerEvent, () => this.did.push("again"));
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => rmSync(world.folder, { recursive: true, force: true }));

const crashed = (detail = "exit code 1") =>
  ({ type: "restarted", epoch: 3, reason: "crashed", detail }) as const;

test("without a trial nothing is held up, and what starts is what ran", async () => {
  expect(await world.prepare()).toBe(OLD);
  expect(await world.prove()).toBe(true);
  expect(world.heard(crashed())).toBe(false);
  expect(world.did).toEqual([]);
});

test("it is shown when it has answered and the lease says so; then nothing of the trial is left", async () => {
  const { end } = await world.begin();
  expect(world.beside).toEqual(["before-update", "update.json"]);
  expect(await world.prove()).toBe(true);
  expect(await end).toEqual({ end: "updated" });
  expect(world.did).toEqual([
    "updating",
    "restart: OpenClaw 2.0.0 is tried",
    `hold ${NEW}`,
    "ask",
    `publish 3 ${NEW}`,
    "updated",
  ]);
  expect(world.state.release).toBe(NEW);
  expect(world.beside).toEqual([]);
  expect(await world.prepare()).toBe(NEW);
});

test("one turn may fail; two, and it goes back without having been shown", async () => {
  world.turns.push("no model", null);
  const { end } = await world.begin();
  expect(await world.prove()).toBe(true);
  expect(await end).toEqual({ end: "updated" });

  world.turns.push("no model", "no model again");
  const next = world.trials.begin("s1", world.state, "3.0.0");
  expect(await world.prepare()).toBe("3.0.0");
  world.write("newest");
  expect(await world.prove()).toBe(false);
  expect(await world.prepare()).toBe(NEW);
  expect(await next).toMatchObject({
    end: "refused",
    why: expect.stringMatching(/no answer: no model again \(what it left is in .*failed-update-3/),
  });
  expect(world.note).toBe("new");
  expect(await world.prove()).toBe(true);
});

test("one that gives up goes back at once, and nobody else hears of it", async () => {
  const { end } = await world.begin();
  expect(world.heard({ type: "gave-up", epoch: 3, reason: "exit code 78" })).toBe(true);
  expect(world.did.at(-1)).toBe("again");
  expect(await world.prepare()).toBe(OLD);
  expect(await end).toMatchObject({ end: "refused", why: expect.stringMatching(/exit code 78/) });
  expect(world.note).toBe("old");
  // The next one that gives up is the old one.
  expect(world.heard({ type: "gave-up", epoch: 3, reason: "exit code 78" })).toBe(false);
});

test("it may end once; twice, or once for being late, and it goes back", async () => {
  const { end } = await world.begin();
  expect(world.heard(crashed())).toBe(false);
  expect(await world.prepare()).toBe(NEW);
  world.heard({ ...crashed(), reason: "requested" });
  expect(await world.prepare()).toBe(NEW);
  world.heard(crashed("exit code 2"));
  expect(await world.prepare()).toBe(OLD);
  expect(await end).toMatchObject({ why: expect.stringMatching(/exit code 2/) });

  const late = world.trials.begin("s1", world.state, NEW);
  expect(await world.prepare()).toBe(NEW);
  world.heard(crashed("it did not serve within 180 s"));
  expect(await world.prepare()).toBe(OLD);
  expect(await late).toMatchObject({ end: "refused" });
});

test("a shard that drains for another reason is tried another time", async () => {
  const end = world.trials.begin("s1", world.state, NEW);
  world.trials.callOff("s1", "maintenance");
  expect(await end).toEqual({ end: "called off", why: "maintenance" });
  expect(await world.prepare()).toBe(OLD);
  expect(world.beside).toEqual([]);
});

test("one whose state cannot be kept never began, leaves no copy, and drains nobody again at once", async () => {
  const end = world.trials.begin("s1", world.state, NEW);
  const note = join(world.state.stateDir, "own.sqlite");
  // A database that is none: it is copied, and cannot be settled.
  writeFileSync(note, "no database".repeat(100));
  expect(await world.prepare()).toBe(OLD);
  expect(await end).toMatchObject({
    end: "called off",
    why: expect.stringMatching(/could not be kept/),
  });
  expect(world.beside).toEqual([]);
  // What is replicated from here on is of the old one.
  expect(world.did.slice(-3)).toEqual([`hold ${NEW}`, `hold ${OLD}`, "not updated"]);

  const did = world.did.length;
  world.now = 599_000;
  const soon = await world.trials.begin("s1", world.state, NEW);
  expect(soon).toMatchObject({
    end: "called off",
    why: expect.stringMatching(/could not be kept/),
  });
  expect(world.did).toHaveLength(did);
  // For nothing again: people are not to wait for it every ten minutes.
  world.now = 600_000;
  const again = world.trials.begin("s1", world.state, NEW);
  expect(await world.prepare()).toBe(OLD);
  expect(await again).toMatchObject({ end: "called off" });
  rmSync(note);
  world.now = 1_799_000;
  expect(await world.trials.begin("s1", world.state, NEW)).toMatchObject({ end: "called off" });
  world.now = 1_800_000;
  const later = world.trials.begin("s1", world.state, NEW);
  expect(await world.prepare()).toBe(NEW);
  expect(await world.prove()).toBe(true);
  expect(await later).toEqual({ end: "updated" });
});

test("a planned end in the middle puts the state from before in place first", async () => {
  const { end } = await world.begin();
  await world.trials.settle("s1", world.state);
  expect(await end).toMatchObject({ end: "called off" });
  expect(world.note).toBe("old");
});

test("what somebody else has now is left as it is", async () => {
  const { end } = await world.begin();
  world.trials.drop("s1");
  expect(await end).toMatchObject({ end: "called off" });
  await world.trials.settle("s1", world.state);
  expect(world.note).toBe("new");
  expect(world.beside).toEqual(["before-update", "update.json"]);
});

test("a shard that nothing runs of is tried with its start, the state from before beside it", async () => {
  const end = world.trials.beginWithStart("s1", world.state, NEW);
  expect(await world.prepare()).toBe(NEW);
  world.write("new");
  expect(world.heard({ type: "gave-up", epoch: 3, reason: "exit code 78" })).toBe(true);
  expect(await world.prepare()).toBe(OLD);
  expect(await end).toMatchObject({ end: "refused" });
  expect(world.note).toBe("old");
  expect(world.did).toEqual(["updating", `hold ${NEW}`, "again", `hold ${OLD}`, "update refused"]);
});

test("what an owner before left undecided goes back before the next one is tried", async () => {
  const { stateDir } = world.state;
  await keepState(stateDir, { from: OLD, to: NEW, epoch: 2 }, mine);
  world.write("half done");
  void world.trials.beginWithStart("s1", world.state, NEW);
  expect(await world.prepare()).toBe(NEW);
  expect(world.note).toBe("old");
  expect(readFileSync(join(world.folder, "before-update/note"), "utf8")).toBe("old");
});

test("a decision that the lease may not have heard of shows it to nobody", async () => {
  await world.begin();
  world.lost = true;
  expect(await world.prove()).toBe(false);
  expect(world.beside).toEqual(["before-update", "update.json"]);
});

test.each([
  ["goes back where the lease says what ran", { release: OLD, broughtHere: false }, "old", true],
  [
    "goes on where the lease says what was tried",
    { release: NEW, broughtHere: false },
    "new",
    false,
  ],
  [
    "heeds nothing beside a state from elsewhere",
    { release: OLD, broughtHere: true },
    "new",
    false,
  ],
])("the owner after one that died in a trial %s", async (_, how, note, undone) => {
  const { stateDir } = world.state;
  await keepState(stateDir, { from: OLD, to: NEW, epoch: 3 }, mine);
  world.write("new");
  const state = { ...world.state, ...how, epoch: 4 };
  expect(await world.trials.prepare("s1", state, mine)).toBe(how.release);
  expect(world.note).toBe(note);
  expect(world.did).toEqual(undone ? ["update undone"] : []);
  expect(world.beside).toEqual(undone ? ["failed-update-4"] : []);
});
