import { describe, expect, test } from "vitest";
import { StoreUnavailable, type StoreView } from "../../../gateway/leases/store.ts";
import { FormerNodes, formerNodes } from "../../../gateway/node/former-nodes.ts";

/** A store that knows these nodes; `owner` has the only shard. */
function viewOf(nodes: string[], owner: string | null = null, maintenance: string[] = []) {
  return {
    nodes: Object.fromEntries(nodes.map((id) => [id, { id }])),
    leases: { s1: { shard: "s1", owner } },
    maintenance: Object.fromEntries(maintenance.map((id) => [id, 1])),
  } as unknown as StoreView;
}
const lost = () => true;
const of = (members: string[]) => ({ members, shards: ["s1"] });

describe("nodes that were removed", () => {
  test("are those that the deployment does not name, and that are gone", () => {
    expect(formerNodes(viewOf(["a", "b", "c"]), of(["a", "c"]), lost)).toEqual(["b"]);
    expect(formerNodes(viewOf(["a", "b"]), of(["a"]), () => false)).toEqual([]);
    expect(formerNodes(viewOf(["a", "b"]), of(["a", "b"]), lost)).toEqual([]);
  });

  test("are not forgotten while a shard is theirs", () => {
    expect(formerNodes(viewOf(["a", "b"], "b"), of(["a"]), lost)).toEqual([]);
    expect(formerNodes(viewOf(["a", "b"], "a"), of(["a"]), lost)).toEqual(["b"]);
  });

  test("are forgotten though a turn, or a shard that is no more, has their name on it", () => {
    const view = viewOf(["a", "b"], "b");
    const leases = { ...view.leases, "@recycle": view.leases.s1 } as StoreView["leases"];
    expect(formerNodes({ ...view, leases }, { members: ["a"], shards: [] }, lost)).toEqual(["b"]);
  });

  test("leave no mark of maintenance to a new host of their name", () => {
    expect(formerNodes(viewOf(["a"], null, ["a", "b"]), of(["a"]), lost)).toEqual(["b"]);
  });
});

describe("taking them away", () => {
  const made = (members: string[] | undefined, forget: (node: string) => Promise<void>) => {
    const told: string[] = [];
    const former = new FormerNodes({
      members: () => members,
      shards: () => ["s1"],
      view: () => viewOf(["a", "b", "c"]),
      isLost: (node) => node !== "a",
      forget,
      log: (message) => told.push(message),
    });
    return { former, told };
  };

  test("is tried again when the store is away, and never done where nobody names the nodes", async () => {
    const asked: string[] = [];
    const away = made(["a", "c"], async (node) => {
      asked.push(node);
      if (asked.length === 1) throw new StoreUnavailable("away");
    });
    await away.former.look();
    expect(away.told).toEqual([]);
    await away.former.look();
    expect(asked).toEqual(["b", "b"]);
    expect(away.told).toEqual([expect.stringContaining("node b is not of this fleet any more")]);
    const unnamed = made(undefined, () => Promise.reject(new Error("asked")));
    await unnamed.former.look();
  });

  test("goes on one at a time", async () => {
    let under = 0;
    let most = 0;
    const { former } = made(["a"], async () => {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setImmediate(resolve));
      under -= 1;
    });
    await Promise.all([former.look(), former.look()]);
    expect(most).toBe(1);
  });
});
