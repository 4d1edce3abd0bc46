import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePort, freePorts } from "./free-ports.ts";

test("gives no port twice, although nobody has opened one yet", async () => {
  const all: number[] = [];
  for (let n = 0; n < 100; n++) all.push(await freePort(), ...(await freePorts(["0.0.0.0"], 3)));
  expect(new Set(all).size).toBe(all.length);
});

test("gives ports that can be opened on every address", async () => {
  const addresses = ["127.0.0.1", "127.9.8.7"];
  for (const port of await freePorts(addresses, 4)) {
    for (const address of addresses) {
      const server = createServer().listen(port, address);
      await once(server, "listening");
      server.close();
    }
  }
});
