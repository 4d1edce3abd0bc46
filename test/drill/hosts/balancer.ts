import { request } from "node:https";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * What a provider's balancer does before several fronts: TCP to one that is ready, and an end for the
 * connections of one that is not ready any more, which otherwise would wait for a host without power.
 */
export interface Balancer {
  /** `https://127.0.0.1:port`; each front's own certificate is seen through it. */
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
 * @param ca certificate of the authority that the fronts' certificates are from, in PEM
 * @param port of every front
 */
export async function startBalancer(
  addresses: readonly string[],
  ca: string,
  port = HTTPS,
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
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await Promise.all(fronts.map(look));
  const watches = fronts.map(watch);
  return {
    endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      closed = true;
      for (const { sockets } of fronts) for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all(watches);
    },
  };
}

function ready(host: string, port: number, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host, port, path: "/readyz", ca, agent: false };
    const sent = request({ ...options, signal: AbortSignal.timeout(LOOK_TIMEOUT_MS) });
    sent.once("error", () => resolve(false));
    sent.once("response", (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    sent.end();
  });
}
