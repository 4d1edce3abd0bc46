/**
 * Nodes that follow the rules of ownership on a real cluster, while its members are killed and paused, the
 * stored leases are lost, calls end without an answer and nodes sleep: never two of them live on one shard.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { LeaseAgent } from "../../../../gateway/leases/agent.ts";
import { EtcdLeaseStore } from "../../../../gateway/leases/etcd.ts";
import { acquireRequest, nodeRecord } from "../../../contracts/lease-fixtures.ts";
import { EtcdCluster, type Member, SETTLE_MS } from "../../../support/etcd/cluster.ts";
import { eventually } from "../../../support/eventually.ts";
import { SimulatedFleet } from "../simulated-node.ts";
import { createStore, etcdLeaseWorld } from "./world.ts";

let cluster: EtcdCluster;
beforeAll(async () => {
  cluster = await EtcdCluster.start();
});
afterAll(() => cluster?.close());

/** What happens in one second of the nodes' time. */
const second = fc.record({
  toggle: fc.option(fc.nat({ max: 2 }), { freq: 4 }),
  fault: fc.oneof(
    { weight: 12, arbitrary: fc.constant("none") },
    {
      weight: 1,
      arbitrary: fc.constantFrom("lose", "kill", "pause", "kill the leader", "give up"),
    },
  ),
  member: fc.nat({ max: 2 }),
  first: fc.nat({ max: 2 }),
});

it("never has two live owners, whatever happens to the cluster", async () => {
  let acquired = 0;
  const failing = { member: null as Member | null };
  const mend = async () => {
    const { member } = failing;
    failing.member = null;
    if (!member) return;
    if (member.paused) member.resume();
    else cluster.startMember(member);
    await cluster.settled();
  };
  await fc.assert(
    fc.asyncProperty(fc.array(second, { minLength: 60, maxLength: 90 }), async (seconds) => {
      // Short, so that calls end without an answer and are carried out all the same.
      const world = await etcdLeaseWorld(cluster, 400);
      const fleet = new SimulatedFleet(() => world.open());
      try {
        for (const { toggle, fault, member: which, first } of seconds) {
          world.clock.advance(1_000);
          fleet.toggle(toggle);
          // At most one member is away, so that there is something to go wrong with.
          if (fault !== "none" && failing.member) await mend();
          if (fault === "lose") await eventually(async () => world.lose?.(), SETTLE_MS);
          if (fault.startsWith("kill") || fault === "pause") {
            const leader = fault === "kill the leader" ? await cluster.leader() : null;
            failing.member = leader ?? (cluster.members[which] as Member);
            if (fault === "pause") failing.member.pause();
            else await failing.member.kill();
          }
          await fleet.second(world.clock.now, first, fault === "give up");
        }
      } finally {
        acquired += fleet.acquired;
        await mend();
        await world.close();
      }
    }),
    { numRuns: 6, interruptAfterTimeLimit: 120_000 },
  );
  expect(acquired).toBeGreaterThan(2);
}, 280_000);

it("a node's lease thread takes, renews and gives up in etcd", async () => {
  const prefix = "/openclaw-fleet/agent";
  const { endpoints, tls } = cluster;
  await createStore({ endpoints, tls, prefix, timeoutMs: 20_000 });
  // A machine under load is no fault here.
  const timings = { renewEveryMs: 200, renewTimeoutMs: 20_000, holdMs: 120_000 };
  const agent = new LeaseAgent({
    store: { kind: "etcd", endpoints, tls, prefix },
    extendFd: null,
    timings,
  });
  const reader = new EtcdLeaseStore({ endpoints, tls, prefix, timeoutMs: 5_000 });
  try {
    agent.start();
    const { beat: _, ...report } = nodeRecord("n1");
    agent.setReport(report);
    const taken = await eventually(() => agent.acquire(acquireRequest("n1", 1, null)), SETTLE_MS);
    expect(taken?.lease).toMatchObject({ owner: "n1", epoch: 1 });
    const first = (await eventually(() => reader.read(), SETTLE_MS)).leases.s1?.beat ?? 0;
    await eventually(async () => {
      expect((await reader.read()).leases.s1?.beat).toBeGreaterThan(first + 2);
    }, SETTLE_MS);
    expect(agent.deadline("s1")).toBeGreaterThan(0);
    const leader = await cluster.leader();
    await leader.kill();
    const before = (await eventually(() => reader.read(), SETTLE_MS)).leases.s1?.beat ?? 0;
    await eventually(async () => {
      expect((await reader.read()).leases.s1?.beat).toBeGreaterThan(before + 2);
    }, SETTLE_MS);
    cluster.startMember(leader);
    await cluster.settled();
    const [shard, node, incarnation] = ["s1", "n1", "inc-n1"];
    const why = { position: null, handTo: null, reason: "done" };
    const gone = { shard, node, incarnation, epoch: 1, ...why };
    expect(await eventually(() => agent.release(gone), SETTLE_MS)).toBe(true);
    expect((await reader.read()).leases.s1).toMatchObject({ owner: null, reason: "done" });
  } finally {
    await agent.stop();
    await reader.close();
  }
});
