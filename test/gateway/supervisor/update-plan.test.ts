import { describe, expect, test } from "vitest";
import type { StoreView } from "../../../gateway/leases/store.ts";
import { failureReason } from "../../../gateway/ownership/failure.ts";
import { UPDATE_LEASE } from "../../../gateway/supervisor/turn-taking.ts";
import {
  nextUpdate,
  parseRefusal,
  type Refusal,
  refusalReason,
  startFor,
  updateStatus,
} from "../../../gateway/supervisor/update-plan.ts";
import { nodeRecord } from "../../contracts/lease-fixtures.ts";

const refusal: Refusal = {
  to: "2.0.0",
  shard: "s1",
  why: "it is broken",
  revision: "r",
  pin: null,
};

const lease = (shard: string, owner: string | null, release: string | null, reason = "") => ({
  shard,
  owner,
  incarnation: owner,
  epoch: 1,
  beat: 1,
  release,
  position: null,
  bootId: "boot",
  handTo: null,
  reason,
});

/** Nodes a and b, and shards s1 and s2 on a, s3 on b, each with its release. */
function view(
  how: { nodes?: string[]; ran?: string; said?: string } & Partial<Omit<StoreView, "nodes">> = {},
): StoreView {
  const { nodes = ["2.0.0+x", "2.0.0+x"], ran = "1.0.0+x", said, ...more } = how;
  const records = nodes.map((release, i) => ({ ...nodeRecord("ab".charAt(i)), release }));
  const all = [
    lease("s1", "a", ran),
    lease("s2", "a", ran),
    lease("s3", "b", ran),
    ...(said === undefined ? [] : [lease(UPDATE_LEASE, null, "2.0.0+x", said)]),
  ];
  return {
    storeId: "store",
    pristine: true,
    leases: Object.fromEntries(all.map((each) => [each.shard, each])),
    nodes: Object.fromEntries(records.map((each) => [each.id, each])),
    pins: {},
    maintenance: {},
    ...more,
  };
}

const shards = ["s1", "s2", "s3"];
const next = (seen: StoreView, more: { serving?: string[]; revision?: string } = {}) =>
  nextUpdate({
    view: seen,
    shards,
    revision: "r",
    node: "a",
    release: "2.0.0+x",
    serving: ["s1", "s2"],
    ...more,
  });

describe("the shard that is updated next", () => {
  test.each([
    ["the first of this node's that serves", view(), {}, "s1"],
    ["not one that does not serve", view(), { serving: ["s2"] }, "s2"],
    ["none while a node has another OpenClaw", view({ nodes: ["2.0.0+x", "1.0.0+x"] }), {}, null],
    ["also one with another build of it", view({ nodes: ["2.0.0+x", "2.0.0+y"] }), {}, "s1"],
    ["none that has it", view({ ran: "2.0.0+old" }), {}, null],
    ["none that has a newer one", view({ ran: "3.0.0" }), {}, null],
    ["none of a node that is set aside", view({ maintenance: { a: { since: "" } } }), {}, null],
    ["none after one on which it failed", view({ said: refusalReason(refusal) }), {}, null],
    [
      "again after one on which another version failed",
      view({ said: refusalReason({ ...refusal, to: "1.9.0" }) }),
      {},
      "s1",
    ],
    ["again under other settings", view({ said: refusalReason(refusal) }), { revision: "s" }, "s1"],
    [
      "again when the shard was moved",
      view({ said: refusalReason(refusal), pins: { s1: "b" } }),
      {},
      "s1",
    ],
    ["after one that went well", view({ said: "updated s9 to 2.0.0" }), {}, "s1"],
  ])("%s", (_, seen, more, expected) => {
    expect(next(seen, more)).toBe(expected);
  });
});

describe("what status says of an update", () => {
  const facts = (seen: StoreView) => ({ view: seen, shards, revision: "r" });

  test("nothing when every shard has the newest there is", () => {
    expect(updateStatus(facts(view({ ran: "2.0.0+old" })))).toBeUndefined();
    expect(updateStatus(facts(view({ nodes: [] })))).toBeUndefined();
  });

  test("the shards that wait, from the first node that has it on", () => {
    const rolling = view({ nodes: ["2.0.0+x", "1.0.0+x"] });
    expect(updateStatus(facts(rolling))).toEqual({ to: "2.0.0", waiting: shards, refused: null });
  });

  test("where it failed", () => {
    const said = refusalReason(refusal);
    expect(updateStatus(facts(view({ said })))?.refused).toEqual({
      shard: "s1",
      why: "it is broken",
    });
  });
});

test("a refusal is read as it was written, cut; anything else is none", () => {
  const long = { ...refusal, why: "x".repeat(5_000) };
  expect(parseRefusal(refusalReason(long))).toEqual({ ...refusal, why: "x".repeat(1_000) });
  for (const text of [null, undefined, "updated s1", "refused {", 'refused {"to":1}']) {
    expect(parseRefusal(text)).toBeNull();
  }
});

describe("what a taker starts, and tries first", () => {
  const [old, newer] = ["1.0.0+x", "2.0.0+x"];
  const failedOn = (...nodes: string[]) =>
    failureReason({ nodes, revision: "r", pin: null, why: "it is broken" });
  const here = () => true;
  test.each([
    ["what moved", lease("s1", null, old), here, { release: old, tries: null }],
    ["one failure", lease("s1", null, old, failedOn("a")), here, { release: old, tries: null }],
    [
      "failed on two nodes: the newer one on trial",
      lease("s1", null, old, failedOn("a", "b")),
      here,
      { release: old, tries: newer },
    ],
    [
      "nothing here to go back to",
      lease("s1", null, old, failedOn("a", "b")),
      () => false,
      { release: newer, tries: null },
    ],
    [
      "the same OpenClaw of another build",
      lease("s1", null, "2.0.0+w", failedOn("a", "b")),
      here,
      { release: newer, tries: null },
    ],
    ["never ran", undefined, here, { release: newer, tries: null }],
  ])("%s", (_, previous, has, expected) => {
    expect(startFor(previous, newer, has)).toEqual(expected);
  });
});
