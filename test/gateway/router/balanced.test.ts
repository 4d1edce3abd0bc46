import { Agent, request } from "node:http";
import { afterEach, expect, test } from "vitest";
import { until, World } from "./world.ts";

const HOST = "127.0.0.1";

let world: World | null = null;
afterEach(async () => {
  await world?.close();
  world = null;
});

/** Asks over the one connection that a balancer keeps; what the answer says of it. */
function keeper(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = () =>
    new Promise<string>((resolve, reject) => {
      const sent = request({ host: HOST, port, path: "/healthz", agent }, (res) => {
        res.resume().on("end", () => resolve(String(res.headers.connection)));
      });
      sent.on("error", reject).end();
    });
  return { ask, end: () => agent.destroy() };
}

test("a router that ends lets a balancer use the connections that it keeps once more", async () => {
  world = new World();
  const at = { host: HOST, port: 0 };
  const { router } = await world.add("a", { listen: at, alone: true, balanced: true });
  await until(() => router.port !== null);
  const kept = keeper(router.port as number);
  expect(await kept.ask()).toBe("keep-alive");
  const closing = router.close();
  await until(() => router.port === null);
  // Nobody listens any more, and what comes over the old connection is answered: the last time.
  expect(await kept.ask()).toBe("close");
  await expect(kept.ask()).rejects.toThrow(/ECONNREFUSED/);
  kept.end();
  await closing;
});
