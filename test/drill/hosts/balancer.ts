import { request as plain } from "node:http";
import { request as secured } from "node:https";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * What a provider's balancer does before several fronts: TCP to one that is ready, and an end for the
 * connections of one that is not ready any more, which otherwise would wait for a host without power.
 */
export interface Balancer {
  /** `https://127.0.0.1:port`; each front's own certificate is seen through it. `http:` before routers. */
  readonly endpoint: string;
  close(): Promise<void>;
}

interface Front {
  readonly address: string;
  ready: boolean;
  misses: number;
  readonly sockets: Set<Socket>;
}

const LOOK_EVERY_MS = 1_000;
const LOOK_TIMEOUT_MS = 2_000;
/** Looks in a row without an answer after which a front counts as gone. */
const MISSES = 2;
const CONNECT_MS = 2_000;
const HTTPS = 443;

/**
 * @param ca certificate of the authority that the fronts' certificates are from, in PEM; null: they are routers
 *   without one
 * @param port of every front
 * @param at where it listens; port 0 is a free one
 */
export async function startBalancer(
  addresses: readonly string[],
  ca: string | null,
  port = HTTPS,
  at = { host: "127.0.0.1", port: 0 },
): Promise<Balancer> {
  const fronts: Front[] = addresses.map((address) => {
    return { address, ready: false, misses: 0, sockets: new Set() };
  });
  const look = async (front: Front): Promise<void> => {
    const good = await ready(front.address, port, ca);
    front.misses = good ? 0 : front.misses + 1;
    if (good) front.ready = true;
    if (front.misses < MISSES) return;
    front.ready = false;
    for (const socket of front.sockets) socket.destroy();
  };
  let closed = false;
  const watch = async (front: Front): Promise<void> => {
    while (!closed) {
      await look(front);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  };
  const pass = (client: Socket): void => {
    const [front] = fronts
      .filter((one) => one.ready)
      .sort((one, other) => one.sockets.size - other.sockets.size);
    if (!front) {
      client.destroy();
      return;
    }
    const server = connect({ host: front.address, port });
    const late = setTimeout(() => server.destroy(), CONNECT_MS);
    server.once("connect", () => clearTimeout(late));
    front.sockets.add(server);
    const end = () => {
      clearTimeout(late);
      front.sockets.delete(server);
      server.destroy();
      client.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    client.pipe(server).pipe(client);
  };
  const server = createServer(pass);
  await new Promise<void>((resolve) => server.listen(at.port, at.host, resolve));
  await Promise.all(fronts.map(look));
  const watches = fronts.map(watch);
  return {
    endpoint: `${ca === null ? "http" : "https"}://${at.host}:${(server.address() as AddressInfo).port}`,
    close: async () => {
      closed = true;
      for (const { sockets } of fronts) for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all(watches);
    },
  };
}

function ready(host: string, port: number, ca: string | null): Promise<boolean> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(LOOK_TIMEOUT_MS);
    const options = { host, port, path: "/readyz", agent: false as const, signal };
    const sent = ca === null ? plain(options) : secured({ ...options, ca });
    sent.once("error", () => resolve(false));
    sent.once("response", (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    sent.end();
  });
}
