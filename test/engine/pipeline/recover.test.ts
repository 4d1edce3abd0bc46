import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { delayOf } from "../../standin/faults.ts";
import { leftOver } from "../../standin/mutate.ts";
import { eventually } from "../../support/eventually.ts";
import { DAY, share } from "../../support/share.ts";
import { furnish, settingsObject, TARGETS, type TargetName } from "../aws/stacks.ts";
import { PULUMI } from "../fixtures/project.ts";
import { Pipeline } from "./cli.ts";
import { S3 } from "./s3.ts";

/** Longest delay of a create, and least delay of the slow one. */
const OTHERS_MS = 1_500;
const LONG_MS = 140_000;

const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
const hoursAgo = (hours: number) => inHours(-hours);

interface State {
  checkpoint: { latest: { pending_operations?: { resource: { urn: string } }[] } | null };
}

describe.skipIf(!PULUMI)("a run killed in the middle of up, on AWS", { timeout: 600_000 }, () => {
  let pipeline: Pipeline;
  let stack: string;
  const settings = (expires: string) =>
    pipeline.settings(stack, { ...settingsObject("ec2", "solo"), ephemeral: { expires } });
  const pending = (): string[] => {
    const file = join(pipeline.home, "state/.pulumi/stacks/openclaw-fleet", `${stack}.json`);
    const { latest } = (JSON.parse(readFileSync(file, "utf8")) as State).checkpoint;
    return (latest?.pending_operations ?? []).map(({ resource }) => resource.urn);
  };

  beforeAll(() => {
    pipeline = new Pipeline();
    stack = pipeline.name();
    pipeline.account((world) => furnish(world));
  });
  afterAll(() => pipeline.remove());

  test("is refused while it lives; recovered when it is dead; then reap leaves nothing", async () => {
    settings(hoursAgo(1));
    // One create takes so long that the run is killed in it, with everything else at rest.
    const network = `openclaw-fleet:base:Base$openclaw-fleet:base:Network$aws:ec2/vpc:Vpc`;
    const urn = `urn:pulumi:${stack}::openclaw-fleet::${network}::${stack}-network-vpc`;
    let seed = 1;
    while (delayOf(String(seed), "create", urn, OTHERS_MS) * 100 < LONG_MS) seed += 1;
    const slow = {
      STANDIN_SLOW: `${stack}-network-vpc`,
      STANDIN_DELAY_MS: String(OTHERS_MS),
      STANDIN_SEED: String(seed),
    };
    const up = pipeline.start(["up", "--yes", "--skip-preview", "--stack", stack], slow);
    let made = -1;
    let since = performance.now();
    await eventually(() => {
      const now = pipeline.account((world) => world.log.length);
      if (now !== made) since = performance.now();
      made = now;
      expect(pending(), up.seen()).toEqual([urn]);
      // Longer than any other create takes: nothing else is on its way.
      expect(performance.now() - since).toBeGreaterThan(5 * OTHERS_MS);
    }, 120_000);

    const alive = await pipeline.run(["recover", "--stack", stack]);
    expect(alive.code).toBe(1);
    expect(alive.stderr).toMatch(
      new RegExp(
        `${stack} is being changed by another run[\\s\\S]*of \\w+ on ${hostname()}, since .*: it runs`,
      ),
    );
    up.killAll();
    expect((await up.done).code).not.toBe(0);

    const dry = await pipeline.ok(["reap", "--dry-run", "--json"]);
    expect(JSON.parse(dry.stdout).stacks).toMatchObject([{ stack, fate: "would be destroyed" }]);

    const elsewhere = await pipeline.run(["recover", "--stack", stack], {
      STANDIN_ACCOUNT_ID: "999999999999",
    });
    expect(elsewhere.code).toBe(1);
    expect(elsewhere.stderr).toMatch(/is held by process \d+ .*: it has ended/);
    expect(elsewhere.stderr).toContain("is free, and of 1 resources nobody knows");
    expect(elsewhere.stderr).toContain("your identity is in account 999999999999");
    expect(pending()).toHaveLength(1);
    const args = ["recover", "--stack", stack, "--settle", "0s", "--json"];
    const facts = JSON.parse((await pipeline.ok(args)).stdout);
    expect(facts.holders).toEqual([]);
    expect(facts.pending).toMatchObject([{ op: "creating", type: "aws:ec2/vpc:Vpc" }]);
    expect(facts).toMatchObject({ absent: [{ urn }], dropped: [] });
    expect(pending()).toEqual([]);
    const again = await pipeline.ok(["recover", "--stack", stack]);
    expect(again.stdout).toBe(`${stack}: nothing to recover\n`);

    const reaped = await pipeline.ok(["reap", "--json"]);
    expect(JSON.parse(reaped.stdout).stacks).toMatchObject([{ stack, fate: "destroyed" }]);
    expect(pipeline.account(leftOver)).toEqual([]);
    expect((await pipeline.ok(["reap"])).stdout).toBe("No stack for a while is there\n");
  });
});

/** Where runs are killed: in a stack of which preset, after how many changes to the account. */
const KILLS = [3, 8, 15, 23, 34, 46, 57, 75, 92].map((changes, i) => ({
  changes,
  target: TARGETS[i % TARGETS.length] as TargetName,
}));

describe.skipIf(!PULUMI)(
  "a run killed with many creates on their way",
  { timeout: 900_000 },
  () => {
    test.each(share(KILLS, 1))(
      "leaves nothing of a stack on $target after $changes changes",
      async (kill) => {
        const pipeline = new Pipeline();
        try {
          const stack = pipeline.name();
          pipeline.account((world) => furnish(world));
          pipeline.settings(stack, {
            ...settingsObject(kill.target, "small"),
            ephemeral: { expires: hoursAgo(1) },
          });
          const slow = { STANDIN_DELAY_MS: "2000", STANDIN_SEED: String(DAY) };
          const up = pipeline.start(["up", "--yes", "--skip-preview", "--stack", stack], slow);
          const madeSoFar = () => pipeline.account((world) => world.log.length);
          await eventually(
            () => expect(madeSoFar(), up.seen()).toBeGreaterThan(kill.changes),
            400_000,
          );
          up.killAll();
          await up.done;
          // As a kill between two writes leaves it, which is rare: Pulumi then reads no stack at all.
          const states = join(pipeline.home, "state/.pulumi/stacks/openclaw-fleet");
          writeFileSync(join(states, `${stack}.json.attrs`), "");
          const reaped = await pipeline.run(["reap", "--settle", "5s", "--json"]);
          expect(reaped.stdout, reaped.stderr).toContain("stacks");
          expect(JSON.parse(reaped.stdout).stacks, reaped.stderr).toMatchObject([
            { stack, fate: "destroyed", lost: [] },
          ]);
          expect(reaped.code, reaped.stderr).toBe(0);
          expect(pipeline.account(leftOver)).toEqual([]);
        } finally {
          pipeline.remove();
        }
      },
    );
  },
);

describe.skipIf(!PULUMI).each(["files", "S3"])("reap and recover over a backend of %s", (kind) => {
  let pipeline: Pipeline;
  let s3: S3;
  beforeEach(async () => {
    pipeline = new Pipeline();
    s3 = new S3();
    await s3.start();
    if (kind === "S3") pipeline.env = { PULUMI_BACKEND_URL: s3.url, ...s3.credentials };
  });
  afterEach(() => {
    s3.stop();
    pipeline.remove();
  });

  const pulumi = (...args: string[]) => pipeline.ok(["pulumi", ...args, "--non-interactive"]);
  const stackOf = async (tag?: string) => {
    const stack = pipeline.name();
    pipeline.settings(stack, { target: "local" });
    await pulumi("stack", "init", stack);
    if (tag) await pulumi("stack", "tag", "set", "openclaw-fleet:expires", tag, "--stack", stack);
    return stack;
  };
  /** A lock as a run on another machine leaves it. */
  const lock = (stack: string, since: string, host = "another-machine") => {
    const key = `.pulumi/locks/organization/openclaw-fleet/${stack}/${randomUUID()}.json`;
    const body = JSON.stringify({
      pid: 4_000_000,
      username: "runner",
      hostname: host,
      timestamp: since,
    });
    if (kind === "S3") s3.objects.set(key, { body: Buffer.from(body), headers: {} });
    else {
      const path = join(pipeline.home, "state", key);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, body);
    }
  };

  test("destroys what has expired, leaves the rest, and says why", async () => {
    const [over, later, permanent, odd] = [
      await stackOf(hoursAgo(1)),
      await stackOf(inHours(1)),
      await stackOf(),
      await stackOf("tomorrow"),
    ];
    const ran = await pipeline.run(["reap", "--json"]);
    expect(ran.code).toBe(1);
    const fates = Object.fromEntries(
      JSON.parse(ran.stdout).stacks.map((one: { stack: string; fate: string }) => [
        one.stack,
        one.fate,
      ]),
    );
    expect(fates).toEqual({ [over]: "destroyed", [later]: "later", [odd]: "refused" });
    expect(ran.stderr).toContain("is tomorrow, which is no moment");
    const names = JSON.parse((await pulumi("stack", "ls", "--json")).stdout).map(
      (one: { name: string }) => one.name,
    );
    expect(names.sort()).toEqual([later, permanent, odd].sort());

    const named = await pipeline.run(["reap", "--stack", permanent, "--now"]);
    expect([named.code, named.stderr]).toEqual([1, expect.stringContaining("is not tagged")]);
    expect((await pipeline.ok(["reap", "--stack", later, "--now"])).stdout).toContain("destroyed");
    expect((await pipeline.ok(["reap", "--stack", later, "--now"])).stdout).toContain("not there");
    expect((await pipeline.run(["reap", "--now"])).code).toBe(2);
  });

  test("shows who holds a stack; a stranger's lock is broken when it is old, or when told", async () => {
    const stack = await stackOf(hoursAgo(1));
    lock(stack, hoursAgo(0.5));
    const held = await pipeline.run(["recover", "--stack", stack]);
    expect(held.code).toBe(1);
    expect(held.stderr).toContain("process 4000000 of runner on another-machine, since 30 min");
    expect(held.stderr).toContain("--lost-after 0s");
    const reap = await pipeline.run(["reap"]);
    expect([reap.code, reap.stderr]).toEqual([1, expect.stringContaining("another run")]);

    const told = await pipeline.ok(["recover", "--stack", stack, "--lost-after", "0s", "--json"]);
    expect(JSON.parse(told.stdout).holders).toMatchObject([{ state: "lost", user: "runner" }]);
    lock(stack, hoursAgo(5));
    expect((await pipeline.ok(["reap"])).stdout).toContain("destroyed");
  });
});
