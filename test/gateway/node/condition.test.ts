import { expect, test } from "vitest";
import { Condition, THREAD_SILENCE_MS } from "../../../gateway/node/condition.ts";

const shard = (id: string, owner: string | null, state: string) => ({ id, owner, state });

function said(over: Record<string, unknown> = {}, silentMs = 0) {
  const told: { healthy: boolean; text: string }[] = [];
  const view = {
    node: "a",
    status: () => ({
      nodes: [{ id: "a", state: "active" }],
      shards: [
        shard("s1", "a", "serving"),
        shard("s2", "b", "draining"),
        shard("s3", null, "idle"),
      ],
    }),
    stopping: () => false,
    storeOk: () => true,
    storeFault: null,
    ...over,
  };
  new Condition({
    keeper: { condition: (one) => told.push(one) },
    view: view as never,
    leasesSilentMs: () => silentMs,
  }).tell();
  return told[0];
}

test("a node says what it has and how the fleet is", () => {
  expect(said()).toEqual({ healthy: true, text: "1 shards here, 2 of 3 in the fleet serve" });
});

test("a store that is away is told with its reason, and is no fault of the node", () => {
  const one = said({ storeOk: () => false, storeFault: "no majority" });
  expect(one?.healthy).toBe(true);
  expect(one?.text).toContain("the lease store is away: no majority");
});

test("a lease thread that says nothing is a fault of the node", () => {
  expect(said({}, THREAD_SILENCE_MS)).toMatchObject({ healthy: false });
  expect(said({}, THREAD_SILENCE_MS - 1)).toMatchObject({ healthy: true });
});

test("stopping and maintenance come first", () => {
  expect(said({ stopping: () => true })?.text).toMatch(/^stopping; /);
  const status = () => ({ nodes: [{ id: "a", state: "maintenance" }], shards: [] });
  expect(said({ status })?.text).toMatch(/^in maintenance; /);
});
