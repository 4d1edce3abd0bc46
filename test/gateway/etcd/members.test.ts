import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { forgetShard } from "../../../gateway/etcd/forget-shard.ts";
import { leave } from "../../../gateway/etcd/leave.ts";
import { SNAPSHOT_WANTED } from "../../../gateway/etcd/member-file.ts";
import { EtcdLeaseStore } from "../../../gateway/leases/etcd.ts";
import { runLogged } from "../../../toolchain/command.ts";
import { acquireRequest } from "../../contracts/lease-fixtures.ts";
import { eventually } from "../../support/eventually.ts";
import { type EtcdHost, EtcdHosts, SETTLE_MS } from "./hosts.ts";

const PLAN = ["a", "b", "c"];

let hosts: EtcdHosts;
let a: EtcdHost;
let b: EtcdHost;
let c: EtcdHost;
beforeEach(async () => {
  hosts = await EtcdHosts.open(["a", "b", "c", "d"]);
  [a, b, c] = PLAN.map((name) => hosts.host(name)) as [EtcdHost, EtcdHost, EtcdHost];
});
afterEach(() => hosts?.close());

const soon = <T>(check: () => T | Promise<T>) => eventually(check, SETTLE_MS);

const tendUntil = (all: readonly EtcdHost[], voters: readonly string[]) =>
  hosts.tendUntil(all, voters);
const bringUp = (plan = PLAN) => hosts.bringUp(plan);

function store(host: EtcdHost): EtcdLeaseStore {
  const { members, tls } = host.file;
  const endpoints = members.map(({ clientUrl }) => clientUrl);
  const log = { warn() {}, error() {} };
  return new EtcdLeaseStore({ endpoints, tls, prefix: "/fleet", timeoutMs: 5_000, log });
}

async function take(host: EtcdHost): Promise<void> {
  const leases = store(host);
  try {
    await soon(() => leases.create());
    await soon(() => leases.acquire(acquireRequest("n1", 7, null)));
    expect((await soon(() => leases.read())).leases.s1).toMatchObject({ epoch: 7 });
  } finally {
    await leases.close();
  }
}

async function epochSeenBy(host: EtcdHost): Promise<number | undefined> {
  const leases = store(host);
  try {
    return (await soon(() => leases.read())).leases.s1?.epoch;
  } finally {
    await leases.close();
  }
}

it("hosts that are set up one after another make one cluster, and go on after all were off", async () => {
  hosts.deploy("a", PLAN);
  expect(await a.start()).toBe("new");
  await expect(a.voters()).rejects.toThrow();
  await bringUpRest();
  await take(a);
  await Promise.all([a.kill(), b.kill(), c.kill()]);
  await Promise.all([a.start(), b.start(), c.start()]);
  await tendUntil([a, b, c], PLAN);
  expect(await epochSeenBy(b)).toBe(7);
});

async function bringUpRest(): Promise<void> {
  for (const host of [b, c]) {
    hosts.deploy(host.name, PLAN);
    await host.start();
  }
  await tendUntil([a, b, c], PLAN);
}

it("a host that lost its disk joins as a new member, and never under its old identity", async () => {
  await bringUp();
  await take(a);
  const admin = a.admin();
  const idOfC = async () => (await admin.members()).find(({ name }) => name === "c")?.ID;
  const before = await idOfC();
  await c.kill();
  c.wipe();
  expect(await c.start()).toBe("existing");
  await tendUntil([a, b, c], PLAN);
  expect(await idOfC()).not.toBe(before);
  admin.close();
  expect(await epochSeenBy(c)).toBe(7);
});

it("a host without data does not begin a second cluster while another one is silent", async () => {
  await bringUp();
  await Promise.all([a.kill(), b.kill(), c.kill()]);
  c.wipe();
  // b runs, without a majority: nothing can be changed, and nothing is begun.
  await b.start();
  await expect(c.start(4_000)).rejects.toThrow(/etcd on c cannot start/);
  await a.start();
  expect(await c.start()).toBe("existing");
  await tendUntil([a, b, c], PLAN);
});

it("a member that was off when the others began a cluster joins that one, and not its own again", async () => {
  hosts.deploy("a", ["a"]);
  await a.start();
  await tendUntil([a], ["a"]);
  await take(a);
  await a.kill();
  // Two more hosts are planned while it is off, and take what refuses for what has nothing.
  hosts.deploy("b", PLAN);
  hosts.deploy("c", PLAN);
  await Promise.all([b.start(), c.start()]);
  await soon(() => b.voters());
  hosts.deploy("a", PLAN);
  expect(await a.start()).toBe("existing");
  expect(a.said.at(-1)).toBe("a joins a cluster of 2");
  await tendUntil([a, b, c], PLAN);
  const leases = store(a);
  await expect(leases.read()).rejects.toThrow(/holds no lease store/);
  await leases.close();
});

it("another host takes the place of one that is gone for good", async () => {
  await bringUp();
  await take(a);
  await c.kill();
  const plan = ["a", "b", "d"];
  const d = hosts.host("d");
  for (const name of plan) hosts.deploy(name, plan);
  expect(await d.start()).toBe("existing");
  await tendUntil([a, b, d], plan);
  expect(await epochSeenBy(d)).toBe(7);
  // It comes back later, with what it had: the others have taken it off their list.
  hosts.deploy("c", ["a", "b", "c"]);
  expect(await c.start()).toBe("existing");
  expect(readdirSync(join(c.file.home, "aside"))).toHaveLength(1);
});

it("a cluster of one grows to three, and one leaves it", async () => {
  await bringUp(["a"]);
  await take(a);
  for (const host of [a, b, c]) hosts.deploy(host.name, PLAN);
  expect(await b.start()).toBe("existing");
  await tendUntil([a, b], ["a", "b"]);
  expect(await c.start()).toBe("existing");
  await tendUntil([a, b, c], PLAN);
  expect(await epochSeenBy(c)).toBe(7);
  const path = join(c.folder, "etc/etcd/members.json");
  const main = new URL("../../../gateway/etcd/main.ts", import.meta.url).pathname;
  const run = (command: string) =>
    runLogged(process.execPath, [main, command, path], { cwd: c.folder });
  await run("health");
  await soon(() => run("leave"));
  await soon(async () => expect(await a.voters()).toEqual(["a", "b"]));
  await c.kill();
  await expect(run("health")).rejects.toThrow();
  await expect(c.start()).rejects.toThrow("was told to leave");
  hosts.deploy("c", PLAN);
  expect(await c.start()).toBe("existing");
  await tendUntil([a, b, c], PLAN);
});

it("a member does not leave while the others would be no majority without it", async () => {
  await bringUp();
  await take(a);
  await b.kill();
  await expect(leave(c.file, () => {}, { giveUpMs: 0 })).rejects.toThrow(
    /of the 2 members that would remain 2 .* Start etcd on b first/,
  );
  expect(await a.voters()).toEqual(PLAN);
  await b.start();
  await leave(c.file, () => {}, { giveUpMs: SETTLE_MS });
  await soon(async () => expect(await a.voters()).toEqual(["a", "b"]));
  // Once more, as after an answer that was lost.
  await leave(c.file, () => {});
  await c.kill();
  await expect(c.start()).rejects.toThrow("was told to leave");
  await leave(b.file, () => {}, { giveUpMs: SETTLE_MS });
  await soon(async () => expect(await a.voters()).toEqual(["a"]));
  expect(await epochSeenBy(a)).toBe(7);
});

it("a shard whose owners were lost before the first answer is forgotten, one that is owned or was served is not", async () => {
  await bringUp(["a"]);
  await take(a);
  const forget = () => forgetShard(a.file, "/fleet", "s1", () => {});
  await expect(forget()).rejects.toThrow("s1 is n1's now");
  const leases = store(a);
  const give = async (position: string | null) => {
    const { s1 } = (await leases.read()).leases;
    if (!s1?.owner || !s1.incarnation) throw new Error("no owner");
    const { owner: node, incarnation, epoch } = s1;
    const who = { shard: "s1", node, incarnation, epoch, handTo: null, reason: "x" };
    expect(await leases.release({ ...who, position })).toBe(true);
  };
  try {
    await give(null);
    await forget();
    expect((await leases.read()).leases.s1).toBeUndefined();
    await leases.acquire(acquireRequest("n1", 8, null));
    await give("000000000008-n1-1/1+1");
    await expect(forget()).rejects.toThrow("s1 was served");
    expect((await leases.read()).leases.s1?.epoch).toBe(8);
  } finally {
    await leases.close();
  }
});

it("a member saves snapshots of which the newest are kept, and reports what it cannot do", async () => {
  await bringUp(["a"]);
  expect(await a.tend()).toEqual([]);
  const names = readdirSync(join(a.file.home, "snapshots"));
  expect(names).toHaveLength(1);
  expect(names[0]).toMatch(/^\d{4}-\d\d-\d\dT\d{6}Z\.db$/);
  // The next one is due in an hour, or when somebody asks for it.
  const first = Date.parse(
    String(names[0])
      .replace(/T(..)(..)(..)/, "T$1:$2:$3")
      .slice(0, 20),
  );
  await eventually(() => expect(Date.now()).toBeGreaterThan(first + 1_000), 5_000);
  expect(await a.tend()).toEqual([]);
  expect(readdirSync(join(a.file.home, "snapshots"))).toEqual(names);
  writeFileSync(join(a.file.home, SNAPSHOT_WANTED), "");
  expect(await a.tend()).toEqual([]);
  expect(readdirSync(join(a.file.home, "snapshots"))).toHaveLength(2);
  expect(readdirSync(a.file.home)).not.toContain(SNAPSHOT_WANTED);
  await a.kill();
  expect((await a.tend())[0]).toContain("etcd did not do it");
});
