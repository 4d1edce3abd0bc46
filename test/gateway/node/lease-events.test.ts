import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import type { LeaseAgent } from "../../../gateway/leases/agent.ts";
import { followLeases } from "../../../gateway/node/lease-events.ts";

function world() {
  const leases = new EventEmitter();
  const seen: string[] = [];
  const fed: { type: string; sentAt?: number }[] = [];
  const deciding = followLeases(leases as LeaseAgent, {
    view: {
      viewed: (view) => seen.push(view as never),
      storeFailed: (why) => seen.push(`away: ${why}`),
    },
    supervisor: { feed: (event) => fed.push(event as never) },
    log: { warn: () => {}, error: () => {} } as never,
  });
  return { leases, seen, fed, deciding };
}
const renewed = (sentAt: number) => ({ sentAt, held: [], kept: [], lost: [], view: `v${sentAt}` });

test("before a node begins, its router sees the fleet and its rules nothing", () => {
  const { leases, seen, fed, deciding } = world();
  leases.emit("view", "v0");
  leases.emit("renewed", renewed(1));
  leases.emit("renewed", renewed(2));
  leases.emit("unavailable", "gone");
  expect(seen).toEqual(["v0", "v1", "v2", "away: gone"]);
  expect(fed).toEqual([]);
  deciding.begin("newest" as never);
  // With the time at which it was sent: a renewal of long ago vouches for nothing.
  expect(fed).toMatchObject([{ type: "renewed", sentAt: 2, view: "newest" }]);
  leases.emit("view", "v3");
  leases.emit("renewed", renewed(4));
  expect(fed.map(({ type }) => type)).toEqual(["renewed", "view", "renewed"]);
});
