import { afterEach, expect, test, vi } from "vitest";
import { StoreControl } from "../../../gateway/supervisor/control.ts";

afterEach(() => vi.restoreAllMocks());

/** Shard s1 on node a, pinned to b, where it has not gone. Each look takes a second. */
function world(pinned: () => string | undefined) {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const set: (string | null)[] = [];
  const beat = () => now;
  const control = new StoreControl({
    node: "a",
    store: {
      setPin: async (_, node) => void set.push(node),
      setMaintenance: async () => {},
      history: async () => [],
    },
    view: () =>
      ({
        nodes: { a: { beat: beat() }, b: { beat: beat() } },
        leases: { s1: { owner: "a" } },
        pins: pinned() === undefined ? {} : { s1: pinned() },
      }) as never,
    config: () => ({ shards: [{ id: "s1" }] }) as never,
    nodeState: () => "active",
    held: () => [],
    nextNode: () => null,
    changed: async () => {
      now += 1_000;
    },
  });
  return { control, set };
}

test("a wish that is asked for again is taken away and made anew, so that the owner sees it", async () => {
  const { control, set } = world(() => (set.includes(null) ? undefined : "b"));
  await control.move("s1", "b");
  expect(set).toEqual([null, "b"]);
});

test("one that somebody else makes at the same time is not waited for, and comes true no later than now", async () => {
  const { control, set } = world(() => "b");
  await expect(control.move("s1", "b")).rejects.toMatchObject({ code: "conflict" });
  expect(set).toEqual([null]);
});
