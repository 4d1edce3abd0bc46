import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LEASE } from "../../../../gateway/contract.ts";
import { EtcdLeaseStore } from "../../../../gateway/leases/etcd.ts";
import { StoreUnavailable } from "../../../../gateway/leases/store.ts";
import { runLogged } from "../../../../toolchain/command.ts";
import { ensureEtcd } from "../../../../toolchain/etcd.ts";
import { acquireRequest, heldBy, nodeRecord } from "../../../contracts/lease-fixtures.ts";
import { EtcdCluster, type Member, SETTLE_MS } from "../../../support/etcd/cluster.ts";
import { eventually } from "../../../support/eventually.ts";
import { createStore } from "./world.ts";

/** What happens to a real cluster of three, and what its clients make of it. */
let cluster: EtcdCluster;
let stores: EtcdLeaseStore[];
const node = nodeRecord("n1");
const log = { warn() {}, error() {} };

beforeAll(() => ensureEtcd());
beforeEach(async () => {
  stores = [];
  cluster = await EtcdCluster.start();
  const { endpoints, tls } = cluster;
  await createStore({ endpoints, tls, prefix: "/fleet", log, timeoutMs: 20_000 });
});
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await cluster?.close();
});

function open(endpoints = cluster.endpoints, timeoutMs: number = LEASE.renewTimeoutMs) {
  const { tls } = cluster;
  const store = new EtcdLeaseStore({ endpoints, tls, prefix: "/fleet", log, timeoutMs });
  stores.push(store);
  return store;
}

/** Until it works again: an election takes a second or two, on a loaded machine more. */
const soon = <T>(operation: () => Promise<T>) => eventually(operation, SETTLE_MS);
const others = (one: Member) => cluster.members.filter((member) => member !== one);

/** A holder that renews like the lease thread does, and how long its longest gap was. */
function renewing(store: EtcdLeaseStore) {
  const seen = { kept: 0, lost: 0, longestGapMs: 0 };
  let on = true;
  let last = performance.now();
  const loop = (async () => {
    while (on) {
      const sent = performance.now();
      try {
        const { kept, lost } = await store.renew({ node, held: [heldBy(1)] });
        seen.kept += kept.length;
        seen.lost += lost.length;
        seen.longestGapMs = Math.max(seen.longestGapMs, sent - last);
        last = sent;
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  return {
    seen,
    async stop() {
      on = false;
      await loop;
      return seen;
    },
  };
}

describe("one member fails", () => {
  it.each(["killed", "paused", "cut off"] as const)(
    "a leader that is %s costs its clients no lease",
    async (how) => {
      const leader = await cluster.leader();
      // The failing one is asked first by everybody: the worst order.
      const order = [leader, ...others(leader)].map(({ clientUrl }) => clientUrl);
      const store = open(order);
      await soon(() => store.acquire(acquireRequest("n1", 1, null)));
      const holder = renewing(store);
      await eventually(() => expect(holder.seen.kept).toBeGreaterThan(2), SETTLE_MS);
      const before = holder.seen.kept;
      if (how === "killed") await leader.kill();
      else if (how === "paused") leader.pause();
      else cluster.isolate(leader);
      await eventually(() => expect(holder.seen.kept).toBeGreaterThan(before + 5), SETTLE_MS);
      if (how === "killed") cluster.startMember(leader);
      else if (how === "paused") leader.resume();
      else cluster.heal();
      await cluster.settled();
      const { lost } = await holder.stop();
      expect(lost).toBe(0);
      const reader = open([leader.clientUrl]);
      const view = await soon(() => reader.read());
      expect(view.leases.s1).toMatchObject({ owner: "n1", epoch: 1 });
    },
  );

  it("a follower that is gone is not waited for", async () => {
    const leader = await cluster.leader();
    const [follower] = others(leader) as [Member, Member];
    await follower.kill();
    const store = open([follower, ...others(follower)].map(({ clientUrl }) => clientUrl));
    expect(await store.acquire(acquireRequest("n1", 1, null))).toMatchObject({ owner: "n1" });
  });

  it("a member that answers no more is passed by within the time of one renewal", async () => {
    const store = open(undefined, 5_000);
    await soon(() => store.acquire(acquireRequest("n1", 1, null)));
    const leader = await cluster.leader();
    const [follower] = others(leader) as [Member, Member];
    const asksIt = open(
      [follower, ...others(follower)].map(({ clientUrl }) => clientUrl),
      5_000,
    );
    await asksIt.read();
    follower.pause();
    expect((await asksIt.renew({ node, held: [heldBy(1)] })).kept).toEqual(["s1"]);
    follower.resume();
  });

  it("finds members that are told to it while it runs, when all that it knew are gone", async () => {
    const [first, ...rest] = cluster.members as [Member, ...Member[]];
    const dir = mkdtempSync(join(tmpdir(), "fleet-stores-"));
    try {
      const follow = join(dir, "stores.json");
      const says = (members: Member[]) =>
        writeFileSync(
          follow,
          JSON.stringify({ version: 1, etcd: members.map(({ clientUrl }) => clientUrl) }),
        );
      says([first]);
      const store = new EtcdLeaseStore({
        ...{ endpoints: [first.clientUrl], tls: cluster.tls, prefix: "/fleet", log, follow },
        lookEveryMs: 20,
      });
      stores.push(store);
      await store.renew({ node, held: [] });
      await first.kill();
      await expect(store.read()).rejects.toThrow(StoreUnavailable);
      says(rest);
      const seen = await soon(() => store.read());
      expect(Object.keys(seen.nodes)).toEqual([node.id]);
      // One that begins with those of long ago, as after the loss of its thread.
      const late = new EtcdLeaseStore({
        ...{ endpoints: [first.clientUrl], tls: cluster.tls, prefix: "/fleet", log, follow },
      });
      stores.push(late);
      expect(Object.keys((await late.read()).nodes)).toEqual([node.id]);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe("the majority is lost", () => {
  it("nothing is answered, nothing is half done, and all goes on when it is back", async () => {
    const store = open();
    await soon(() => store.acquire(acquireRequest("n1", 1, null)));
    const before = await store.read();
    const leader = await cluster.leader();
    const [lost] = others(leader) as [Member, Member];
    await Promise.all([leader.kill(), lost.kill()]);
    const renewal = { node, held: [heldBy(1)] };
    await expect(store.renew(renewal)).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(store.read()).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(store.setPin("s1", "n2")).rejects.toBeInstanceOf(StoreUnavailable);
    const expected = { epoch: 1, beat: before.leases.s1?.beat ?? 0, owner: "n1" };
    await expect(open().acquire(acquireRequest("n2", 2, expected))).rejects.toBeInstanceOf(
      StoreUnavailable,
    );
    for (const member of [leader, lost]) cluster.startMember(member);
    await cluster.settled();
    const after = await soon(() => store.read());
    expect(after.storeId).toBe(before.storeId);
    // What was not answered may have happened, whole; the owner's beat proves nothing else did.
    expect(["n1", "n2"]).toContain(after.leases.s1?.owner);
    const again = await soon(() => store.renew(renewal));
    expect(again.kept.length + again.lost.length).toBe(1);
    expect(again.kept.length === 1).toBe(after.leases.s1?.owner === "n1");
  });

  it("an owner beside the minority keeps its lease through a majority elsewhere", async () => {
    const leader = await cluster.leader();
    const store = open([leader.clientUrl, ...others(leader).map(({ clientUrl }) => clientUrl)]);
    await soon(() => store.acquire(acquireRequest("n1", 1, null)));
    cluster.isolate(leader);
    await soon(() => store.renew({ node, held: [heldBy(1)] }));
    // Who reaches only the member without a majority learns nothing from it.
    const alone = open([leader.clientUrl]);
    await expect(alone.read()).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(alone.renew({ node, held: [heldBy(1)] })).rejects.toBeInstanceOf(StoreUnavailable);
    cluster.heal();
    expect((await soon(() => alone.read())).leases.s1).toMatchObject({ owner: "n1", epoch: 1 });
  });
});

describe("what is stored", () => {
  it("is the same store after all members were killed and started again", async () => {
    const store = open();
    await soon(() => store.acquire(acquireRequest("n1", 1, null)));
    const before = await store.read();
    await cluster.killAll();
    await cluster.startAll("existing");
    const after = await soon(() => store.read());
    expect(after).toEqual(before);
    expect((await soon(() => store.renew({ node, held: [heldBy(1)] }))).kept).toEqual(["s1"]);
  });

  it("is another store in a cluster made anew, and live holders write themselves back", async () => {
    const [a, b] = [open(), open()];
    await soon(() => a.acquire(acquireRequest("n1", 5, null)));
    const { storeId } = await b.read();
    await cluster.recreate();
    const now = performance.now();
    const held = { ...heldBy(5), storeId };
    const late = await soon(() => b.renew({ node, held: [{ ...held, until: now - 1e9 }] }));
    expect(late).toMatchObject({ lost: ["s1"], view: { pristine: false, leases: {} } });
    expect(late.view.storeId).not.toBe(storeId);
    const stale = { ...acquireRequest("n2", 6, null), storeId };
    expect(await soon(() => b.acquire(stale))).toBeNull();
    const live = await soon(() => a.renew({ node, held: [{ ...held, until: 1e15 }] }));
    expect(live).toMatchObject({ kept: ["s1"], view: { storeId: late.view.storeId } });
    expect(live.view.leases.s1).toMatchObject({ owner: "n1", epoch: 5 });
  });

  it("is another store when older files were put back behind everybody's back", async () => {
    const [a, b] = [open(), open()];
    await soon(() => a.acquire(acquireRequest("n1", 5, null)));
    await cluster.killAll();
    const saved = mkdtempSync(join(tmpdir(), "etcd-saved-"));
    try {
      for (const { name, dir } of cluster.members) {
        cpSync(dir, join(saved, name), { recursive: true });
      }
      await cluster.startAll("existing");
      for (let n = 0; n < 3; n++) await soon(() => a.renew({ node, held: [heldBy(5)] }));
      const { storeId } = await soon(() => a.read());
      await cluster.killAll();
      for (const { name, dir } of cluster.members) {
        rmSync(dir, { recursive: true });
        cpSync(join(saved, name), dir, { recursive: true });
      }
      await cluster.startAll("existing");
      const view = await soon(() => a.read());
      expect(view).toMatchObject({ pristine: false, leases: { s1: { epoch: 5 } } });
      expect(view.storeId).not.toBe(storeId);
      expect((await soon(() => b.read())).storeId).toBe(view.storeId);
    } finally {
      rmSync(saved, { recursive: true, force: true });
    }
  });

  it("is another store after a snapshot was restored as a cluster of its own name", async () => {
    const { etcdctl, etcdutl } = await ensureEtcd();
    const [a, b] = [open(), open()];
    await soon(() => a.acquire(acquireRequest("n1", 5, null)));
    const { tls, folder, members } = cluster;
    const [first] = members as [Member];
    const snapshot = join(folder, "snapshot.db");
    await runLogged(
      etcdctl,
      [
        `--endpoints=${first.clientUrl}`,
        `--cacert=${tls.ca}`,
        `--cert=${tls.cert}`,
        `--key=${tls.key}`,
        "snapshot",
        "save",
        snapshot,
      ],
      { cwd: folder },
    );
    const { storeId, leases } = await b.read();
    const expected = { epoch: 5, beat: leases.s1?.beat ?? 0, owner: "n1" };
    await soon(() => b.acquire(acquireRequest("n2", 6, expected)));
    await cluster.killAll();
    const initial = members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join();
    for (const { name, dir, peerUrl } of members) {
      rmSync(dir, { recursive: true });
      const args = ["snapshot", "restore", snapshot, `--name=${name}`, `--data-dir=${dir}`];
      const cluster = [`--initial-cluster=${initial}`, "--initial-cluster-token=t2"];
      await runLogged(etcdutl, [...args, ...cluster, `--initial-advertise-peer-urls=${peerUrl}`], {
        cwd: folder,
      });
    }
    cluster.token = "t2";
    await cluster.startAll("existing");
    // n1 lost the lease long ago: the old copy's row in its name revives nothing.
    const stale = await soon(() => a.renew({ node, held: [{ ...heldBy(5), until: -1, storeId }] }));
    expect(stale).toMatchObject({ kept: [], lost: ["s1"], view: { pristine: false } });
    expect(stale.view.storeId).not.toBe(storeId);
    const live = [{ ...heldBy(6), until: 1e15, storeId }];
    const kept = await soon(() => b.renew({ node: nodeRecord("n2"), held: live }));
    expect(kept.view).toMatchObject({
      storeId: stale.view.storeId,
      leases: { s1: { epoch: 6, owner: "n2" } },
    });
  });

  it("is made by the deployment alone: a node that has never seen one waits", async () => {
    const { endpoints, tls } = cluster;
    const parts = { endpoints, tls, prefix: "/other", log, timeoutMs: 5_000 };
    const store = new EtcdLeaseStore(parts);
    stores.push(store);
    await expect(store.read()).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(store.acquire(acquireRequest("n1", 1, null))).rejects.toThrow(
      /holds no lease store/,
    );
    await createStore(parts);
    expect(await soon(() => store.read())).toMatchObject({ pristine: true, leases: {} });
    await expect(createStore(parts)).rejects.toThrow("was created before");
  });

  it("survives compaction and defragmentation", async () => {
    const store = open();
    await soon(() => store.acquire(acquireRequest("n1", 1, null)));
    for (let n = 0; n < 20; n++) await soon(() => store.renew({ node, held: [heldBy(1)] }));
    const before = await store.read();
    const [member] = cluster.members as [Member];
    const { header } = await cluster.status(member);
    await cluster.ask(member, "/v3/kv/compaction", { revision: header.revision, physical: true });
    await cluster.ask(member, "/v3/maintenance/defragment", {});
    expect(await soon(() => store.read())).toEqual(before);
    expect(await soon(() => store.renew({ node, held: [heldBy(1)] }))).toMatchObject({
      kept: ["s1"],
      view: { leases: { s1: { beat: (before.leases.s1?.beat ?? 0) + 1 } } },
    });
  });
});
