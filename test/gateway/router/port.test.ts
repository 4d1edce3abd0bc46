import { createServer, type Server } from "node:http";
import { createServer as createTcp } from "node:net";
import { afterEach, expect, test } from "vitest";
import { PublicPort } from "../../../gateway/router/port.ts";
import { probeHolder } from "../../../gateway/router/port-probe.ts";
import { KeptLog, until } from "./world.ts";

const servers: Server[] = [];
const ports: PublicPort[] = [];
afterEach(async () => {
  for (const port of ports.splice(0)) port.stop();
  for (const server of servers.splice(0)) {
    server.closeAllConnections?.();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});

const FAST = { bindEveryMs: 5, probeEveryMs: 10, probeTimeoutMs: 500, misses: 3 };

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return (server.address() as { port: number }).port;
}

function answering(fleet: string): Server {
  return createServer((_req, res) => res.end(JSON.stringify({ ok: true, fleet })));
}

function waiter(port: number, killHolder?: () => Promise<boolean>, timings = FAST): PublicPort {
  const server = createServer((_req, res) => res.end("mine"));
  servers.push(server);
  const log = new KeptLog();
  const options = { server, node: "w", host: "127.0.0.1", port, fleet: () => "f", log };
  const own = new PublicPort({ ...options, killHolder, timings });
  ports.push(own);
  return own;
}

test("a free port is taken at once; a busy one as soon as its holder lets go", async () => {
  const holder = answering("f");
  const port = await listening(holder);
  const own = waiter(port);
  await own.start();
  expect(own.held).toBe(false);
  await until(() => own.holder === "ours");
  holder.closeAllConnections();
  holder.close();
  await own.taken;
  expect(own.held).toBe(true);
});

test("a foreign program is recognised and never killed", async () => {
  const port = await listening(answering("another"));
  let killed = false;
  const own = waiter(port, async () => {
    killed = true;
    return true;
  });
  await own.start();
  await until(() => own.holder === "foreign");
  const tcp = createTcp((socket) => socket.resume().end("220 mail\r\n"));
  servers.push(tcp as unknown as Server);
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", () => resolve()));
  const mail = (tcp.address() as { port: number }).port;
  expect((await probeHolder("127.0.0.1", mail, "f", 1_000)).probe).toBe("foreign");
  expect(killed).toBe(false);
});

test("a holder that answers nothing is killed after three misses, and its port taken", async () => {
  const holder = createServer(() => undefined);
  const port = await listening(holder);
  let kills = 0;
  const own = waiter(
    port,
    async () => {
      kills += 1;
      holder.closeAllConnections();
      holder.close();
      return true;
    },
    { ...FAST, probeTimeoutMs: 30 },
  );
  await own.start();
  await own.taken;
  expect(kills).toBe(1);
});
