import { afterAll, beforeAll } from "vitest";
import { rateStoreContract } from "../../../contracts/rate-store.ts";
import { type ClusterGroup, clusterGroup } from "../../../support/redis/groups.ts";
import { redisWorld } from "../redis-world.ts";

let group: ClusterGroup;
beforeAll(async () => {
  group = await clusterGroup();
});
afterAll(() => group?.close());

rateStoreContract("A Redis cluster", async () => {
  const hosts = group.servers.map(({ host, port }) => `${host}:${port}`).join(",");
  const world = redisWorld(`redis+cluster://${hosts}`, () => group.masters());
  return {
    open: () => world.open().rates,
    advance: (ms) => world.clock.advance(ms),
    // The servers' own clocks run on between two calls.
    slackMs: 5_000,
    close: () => world.close(),
  };
});
