import { expect, test } from "vitest";
import {
  type ClusterNode,
  nextSteps,
  type PlannedServer,
  parseNodes,
  rangeOf,
  SLOTS,
  type Views,
} from "../../../gateway/redis-cluster/steps.ts";

const HOSTS = ["a", "b", "c"];
/** Three hosts, each with a copy of each part. */
const SERVERS: PlannedServer[] = [0, 1, 2].flatMap((copy) =>
  [0, 1, 2].map((shard) => ({
    host: HOSTS[(shard + copy) % 3] as string,
    port: 7000 + copy,
    shard,
    first: copy === 0,
  })),
);

/** A cluster as it would be, carried out in memory. */
class Cluster {
  readonly nodes = SERVERS.map((server, n) => ({
    ...server,
    id: `id${n}`,
    up: true,
    master: null as string | null,
    slots: [] as [number, number][],
    knows: new Set<number>([n]),
  }));

  views(): Views {
    return this.nodes.map((node, n) => {
      if (!node.up) return null;
      return [...node.knows].map((other): ClusterNode => {
        const { id, host, port, up, master, slots } = this.nodes[other] as (typeof this.nodes)[0];
        const flags = [...(other === n ? ["myself"] : []), master ? "slave" : "master"];
        return { id, host, port, flags: up ? flags : [...flags, "fail"], master, slots };
      });
    });
  }

  pass(self: string): number {
    const steps = nextSteps(self, SERVERS, this.views());
    for (const step of steps) {
      const node = this.nodes[step.on] as (typeof this.nodes)[0];
      expect(step.kind === "slots" || node.host === self, JSON.stringify(step)).toBe(true);
      switch (step.kind) {
        case "meet": {
          const other = this.nodes.findIndex(
            ({ host, port }) => host === step.other.host && port === step.other.port,
          );
          const all = new Set([...node.knows, ...(this.nodes[other]?.knows ?? [])]);
          for (const each of all) for (const one of all) this.nodes[each]?.knows.add(one);
          break;
        }
        case "slots": {
          for (let slot = step.from; slot <= step.to; slot++) {
            const owned = this.nodes.some(({ slots }) =>
              slots.some(([from, to]) => from <= slot && slot <= to),
            );
            expect(owned, `slot ${slot} is given away twice`).toBe(false);
          }
          node.slots.push([step.from, step.to]);
          break;
        }
        case "replicate":
          node.master = step.master;
          break;
        case "take-over": {
          const master = this.nodes.find(({ id }) => id === node.master) as typeof node;
          node.slots = master.slots;
          node.master = null;
          master.slots = [];
          for (const each of this.nodes) if (each.master === master.id) each.master = node.id;
          master.master = node.id;
          break;
        }
        case "forget":
          break;
      }
    }
    return steps.length;
  }

  settle(hosts = HOSTS): void {
    for (let n = 0; n < 50; n++) {
      const steps = hosts.map((host) => this.pass(host));
      if (steps.every((count) => count === 0)) return;
    }
    throw new Error("it never comes to rest");
  }

  expectWhole(): void {
    const heads = this.nodes.filter(({ slots }) => slots.length > 0);
    expect(heads).toHaveLength(3);
    const covered = heads
      .flatMap(({ slots }) => slots)
      .reduce((sum, [from, to]) => sum + to - from + 1, 0);
    expect(covered).toBe(SLOTS);
    for (const head of heads) {
      const copies = this.nodes.filter(({ master }) => master === head.id);
      expect(new Set([head, ...copies].map(({ host }) => host)).size).toBe(3);
    }
  }
}

test("is formed by hosts that act in any order, and then left alone", () => {
  for (const order of [HOSTS, [...HOSTS].reverse(), ["b", "a", "c"]]) {
    const cluster = new Cluster();
    cluster.settle(order);
    cluster.expectWhole();
    for (const host of HOSTS) expect(nextSteps(host, SERVERS, cluster.views())).toEqual([]);
  }
});

test("is not begun before every server is there", () => {
  const cluster = new Cluster();
  for (const node of cluster.nodes) if (node.host === "c") node.up = false;
  cluster.settle(["a", "b"]);
  expect(cluster.nodes.flatMap(({ slots }) => slots)).toEqual([]);
});

test("slots of a master that is away are its own", () => {
  const cluster = new Cluster();
  cluster.settle();
  for (const node of cluster.nodes) if (node.host === "b") node.up = false;
  for (const host of ["a", "c"]) {
    const kinds = nextSteps(host, SERVERS, cluster.views()).map(({ kind }) => kind);
    expect(kinds).toEqual([]);
  }
});

test("an empty server in the place of a lost one becomes a copy of what lacks one, and the lost one is forgotten", () => {
  const cluster = new Cluster();
  cluster.settle();
  const views = cluster.views().map((view) => (view ? [...view] : null));
  // The fourth server (a copy of the first part, on b) is another one now, and knows nobody.
  const gone = (views[0] as ClusterNode[]).find(({ id }) => id === "id3") as ClusterNode;
  const fresh: ClusterNode = { ...gone, id: "new", flags: ["myself", "master"], master: null };
  const changed = views.map((view, n) =>
    n === 3
      ? [fresh]
      : (view as ClusterNode[]).map((node) =>
          node.id === "id3" ? { ...node, flags: ["slave", "fail"] } : node,
        ),
  );
  expect(nextSteps("b", SERVERS, changed)).toContainEqual(
    expect.objectContaining({ kind: "meet", on: 3 }),
  );
  const met = changed.map((view, n) =>
    n === 3
      ? [fresh, ...(changed[0] as ClusterNode[]).filter(({ id }) => id !== "id3").map(plain)]
      : [...(view as ClusterNode[]), plain(fresh)],
  );
  expect(nextSteps("b", SERVERS, met)).toEqual([{ kind: "replicate", on: 3, master: "id0" }]);
  const copied = met.map((view) =>
    view.map((node) => (node.id === "new" ? { ...node, master: "id0" } : node)),
  );
  const [step] = nextSteps("a", SERVERS, copied);
  expect(step).toMatchObject({ kind: "forget", id: "id3" });
  // As Redis said of one whose address was taken before it counted as failed, and went on to say for good.
  const [nameless] = parseNodes("id3 :0@0 slave,fail?,noaddr id0 0 1795337318000 3 disconnected");
  const stuck = copied.map((view) =>
    view.map((node) => (node.id === "id3" ? (nameless as ClusterNode) : node)),
  );
  for (const host of HOSTS) {
    const own = SERVERS.flatMap((server, on) => (server.host === host && on !== 3 ? [on] : []));
    expect(nextSteps(host, SERVERS, stuck)).toEqual(
      own.map((on) => ({ kind: "forget", on, id: "id3" })),
    );
  }
});

test("a living server that others know no address of is not forgotten", () => {
  const cluster = new Cluster();
  cluster.settle();
  const views = cluster
    .views()
    .map((view, n) =>
      (view as ClusterNode[]).map((node) =>
        node.id === "id3" && n !== 3
          ? { ...node, host: "", port: 0, flags: ["slave", "noaddr"] }
          : node,
      ),
    );
  const steps = HOSTS.flatMap((host) => nextSteps(host, SERVERS, views));
  expect(steps.filter(({ kind }) => kind === "forget")).toEqual([]);
});

const plain = (node: ClusterNode): ClusterNode => ({
  ...node,
  flags: node.flags.filter((flag) => flag !== "myself"),
});

test("masters that ended up on one host are spread again, by one host alone", () => {
  const cluster = new Cluster();
  cluster.settle();
  // A failover gave the second part to a's copy.
  const [old, copy] = [1, 8].map((n) => cluster.nodes[n] as (typeof cluster.nodes)[0]) as [
    (typeof cluster.nodes)[0],
    (typeof cluster.nodes)[0],
  ];
  const target = cluster.nodes.find(({ host, master }) => host === "a" && master === old.id);
  const now = (target ?? copy) as typeof old;
  now.slots = old.slots;
  old.slots = [];
  now.master = null;
  for (const each of cluster.nodes) if (each.master === old.id) each.master = now.id;
  old.master = now.id;
  const acting = HOSTS.filter((host) =>
    nextSteps(host, SERVERS, cluster.views()).some(({ kind }) => kind === "take-over"),
  );
  expect(acting).toHaveLength(1);
  cluster.settle();
  cluster.expectWhole();
  const heads = cluster.nodes.filter(({ slots }) => slots.length > 0);
  expect(new Set(heads.map(({ host }) => host)).size).toBe(3);
});

test("reads what servers write of each other", () => {
  const text = [
    "aa 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-5460 5462 [5461->-bb]",
    "bb 10.0.0.2:6380@16380,host.example slave aa 0 1 1 connected",
    "cc 10.0.0.3:6379@16379,,shard-id=1 master,fail - 0 1 2 disconnected",
    "dd :0@0 handshake - 0 0 0 disconnected",
    "",
  ].join("\n");
  expect(parseNodes(text)).toEqual([
    {
      id: "aa",
      host: "10.0.0.1",
      port: 6379,
      flags: ["myself", "master"],
      master: null,
      slots: [
        [0, 5460],
        [5462, 5462],
      ],
    },
    { id: "bb", host: "host.example", port: 6380, flags: ["slave"], master: "aa", slots: [] },
    { id: "cc", host: "10.0.0.3", port: 6379, flags: ["master", "fail"], master: null, slots: [] },
  ]);
});

test("parts cover all slots and no slot twice", () => {
  for (const parts of [1, 3, 5, 7]) {
    const ranges = Array.from({ length: parts }, (_, n) => rangeOf(n, parts));
    expect(ranges[0]?.[0]).toBe(0);
    expect(ranges.at(-1)?.[1]).toBe(SLOTS - 1);
    for (let n = 1; n < parts; n++) expect(ranges[n]?.[0]).toBe((ranges[n - 1]?.[1] ?? 0) + 1);
  }
});
