import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { afterEach, describe, expect, test } from "vitest";
import { adoptCage, type Cage, type Cages, clearCage } from "../../gateway/keeper/cage.ts";
import { processStat } from "../../gateway/keeper/process.ts";
import { eventually } from "../support/eventually.ts";

/** Programs that do not want to end, and how many processes they are when they are up. */
const NASTY: { title: string; script: string; processes: number }[] = [
  {
    title: "one that ignores SIGTERM",
    script: "trap '' TERM INT HUP; while :; do sleep 1; done",
    processes: 2,
  },
  {
    title: "a daemon that forked twice",
    script: "( (sleep 1000 &) & ) ; exec sleep 1000",
    processes: 2,
  },
  {
    title: "one that made a session of its own",
    script: "setsid sleep 1000 & exec sleep 1000",
    processes: 2,
  },
  {
    title: "a daemon in a session of its own",
    script: "(setsid sh -c 'sleep 1000 & sleep 1000' &) ; exec sleep 1000",
    processes: 4,
  },
  {
    title: "a crowd",
    script: "i=0; while [ $i -lt 50 ]; do sleep 1000 & i=$((i+1)); done; wait",
    processes: 51,
  },
  {
    title: "one that forks while it is killed",
    script: "while :; do sleep 1000 & sleep 0.01; done",
    processes: 6,
  },
  { title: "one whose program ended", script: "sleep 1000 & exit 0", processes: 1 },
  {
    title: "one that cleared its environment",
    script: "env -i sleep 1000 & exec sleep 1000",
    processes: 2,
  },
  { title: "one that prints and is not read", script: "yes & exec yes", processes: 2 },
];

/** What every kind of cage must do. `open` makes the cages of a node of the given name. */
export function cageContract(open: (node: string) => Cages): void {
  describe.each(NASTY)("$title", ({ script, processes }) => {
    test("is held and ended, all of it", async () => {
      const cage = start(script);
      await eventually(() => expect(cage.pids().length).toBeGreaterThanOrEqual(processes));
      const pids = cage.pids();
      expect(cage.empty()).toBe(false);
      await cage.kill();
      expect(cage.empty()).toBe(true);
      expect(pids.filter(isRunning)).toEqual([]);
    });

    test("is ended while it is stopped", async () => {
      const cage = start(script);
      await eventually(() => expect(cage.pids().length).toBeGreaterThanOrEqual(processes));
      for (const pid of cage.pids()) trySignal(pid, "SIGSTOP");
      await cage.kill();
      expect(cage.empty()).toBe(true);
    });

    test("is ended by somebody else who knows its name", async () => {
      const cage = start(script);
      await eventually(() => expect(cage.pids().length).toBeGreaterThanOrEqual(processes));
      await clearCage(cage.name);
      expect(adoptCage(cage.name).empty()).toBe(true);
      await eventually(() => expect(cage.empty()).toBe(true));
    });
  });

  const opened: { cages: Cages; made: Cage[] }[] = [];

  function node(): Cages {
    const cages = open(`n${randomBytes(5).toString("hex")}`);
    opened.push({ cages, made: [] });
    return cages;
  }

  function start(script: string, cages: Cages = node(), name = "s1-1"): Cage {
    const cage = cages.create(name);
    opened.find((one) => one.cages === cages)?.made.push(cage);
    const child = cage.run({
      command: "/bin/sh",
      args: ["-c", script],
      cwd: tmpdir(),
      env: { PATH: process.env.PATH ?? "" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    child.on("error", () => {});
    return cage;
  }

  afterEach(async () => {
    for (const { cages, made } of opened.splice(0)) {
      await Promise.all([...made, ...cages.leftovers()].map((cage) => cage.kill()));
      cages.dispose();
    }
  });

  test("killed in the moment of its start, nothing comes after", async () => {
    const cage = start("sleep 1000 & exec sleep 1000");
    await cage.kill();
    expect(cage.empty()).toBe(true);
    expect(cage.pids()).toEqual([]);
  });

  test("a zombie inside is nothing", async () => {
    const cage = start("sleep 0 & exec sleep 1000");
    await eventually(() => expect(cage.pids().length).toBeGreaterThanOrEqual(1));
    await cage.kill();
    expect(cage.empty()).toBe(true);
  });

  test("others are left alone: another cage, another node, a bystander", async () => {
    const bystander = spawn("sleep", ["1000"], { stdio: "ignore" });
    try {
      const cages = node();
      const cage = start("exec sleep 1000", cages, "s1-1");
      const sibling = start("exec sleep 1000", cages, "s1-10");
      const foreign = start("exec sleep 1000");
      for (const one of [cage, sibling, foreign]) {
        await eventually(() => expect(one.pids()).toHaveLength(1));
      }
      await cage.kill();
      expect(sibling.pids()).toHaveLength(1);
      expect(foreign.pids()).toHaveLength(1);
      expect(isRunning(bystander.pid as number)).toBe(true);
    } finally {
      bystander.kill("SIGKILL");
    }
  });

  test("an empty cage can be filled again", async () => {
    const cages = node();
    await start("exec sleep 1000", cages).kill();
    const again = start("exec sleep 1000", cages);
    await eventually(() => expect(again.pids()).toHaveLength(1));
  });

  test("what an earlier keeper left is found", async () => {
    const name = `n${randomBytes(5).toString("hex")}`;
    const before = open(name);
    opened.push({ cages: before, made: [] });
    const cage = start("exec sleep 1000", before);
    await eventually(() => expect(cage.pids()).toHaveLength(1));
    await Promise.all(
      open(name)
        .leftovers()
        .map((left) => left.kill()),
    );
    await eventually(() => expect(cage.empty()).toBe(true));
  });

  test("the script of the dead man's switch ends all cages of the node, and those only", async () => {
    const cages = node();
    const here = [start("exec sleep 1000", cages, "s1-1"), start("exec sleep 1000", cages, "s2-7")];
    const foreign = start("exec sleep 1000");
    for (const one of [...here, foreign]) {
      await eventually(() => expect(one.pids()).toHaveLength(1));
    }
    const { script, args } = cages.killAllScript();
    const ran = spawn("/bin/sh", ["-c", script, "sh", ...args], { stdio: "ignore" });
    await new Promise((resolve) => ran.once("exit", resolve));
    for (const one of here) await eventually(() => expect(one.empty()).toBe(true));
    expect(foreign.empty()).toBe(false);
  });

  test("memory is that of everything inside", async () => {
    const cage = start("sleep 1000 & exec sleep 1000");
    await eventually(() => expect(cage.pids()).toHaveLength(2));
    expect(await cage.memoryBytes()).toBeGreaterThan(50_000);
    await cage.kill();
    expect(await cage.memoryBytes()).toBe(0);
  });
}

function isRunning(pid: number): boolean {
  const stat = processStat(pid);
  return stat !== null && stat.state !== "Z";
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended meanwhile.
  }
}
