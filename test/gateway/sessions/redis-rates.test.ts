import { afterAll, beforeAll } from "vitest";
import { rateStoreContract } from "../../contracts/rate-store.ts";
import { RedisServer } from "../../support/redis/server.ts";
import { redisWorld } from "./redis-world.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
}, 240_000);
afterAll(() => server.close());

rateStoreContract("One Redis", async () => {
  const world = redisWorld(`redis://${server.host}:${server.port}`, async () => [server]);
  return {
    open: () => world.open().rates,
    advance: (ms) => world.clock.advance(ms),
    // The server's own clock runs on between two calls.
    slackMs: 5_000,
    close: () => world.close(),
  };
});
