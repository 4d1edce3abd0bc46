import type { Server } from "node:http";
import { type Socket, Server as TcpServer } from "node:net";

export type BindFault = Error & { code?: string };

/** How a listener is closed beside another one on the same port, ms. Source: decision 066. */
const LOOK_EVERY_MS = 2;
/** Looks in a row without a new connection, after which the clients are taken to wait for us. */
const QUIET_LOOKS = 10;
/** A client that opens connections at its own pace is never quiet: the end of the patience. */
const PATIENCE_MS = 400;
/** A turn of the event loop shorter than this found no connection to accept. */
const EMPTY_TURN_MS = 0.05;
/** Turns tried for an empty one on a busy machine. */
const MAX_TURNS = 200;

/**
 * Binds so that no other socket may share the port, and lets go again: proof that nobody had it.
 * Null: it was free.
 */
export async function testBind(host: string, port: number): Promise<BindFault | null> {
  const server = new TcpServer((socket) => socket.destroy());
  const fault = await listen(server, { host, port, exclusive: true });
  if (fault === null) server.close();
  return fault;
}

/** Null: the server listens. `reusePort`: further sockets of this user may listen beside it. */
export function listen(
  server: TcpServer,
  where: { host: string; port: number; exclusive: true; reusePort?: boolean },
): Promise<BindFault | null> {
  return new Promise((resolve) => {
    const onError = (error: Error) => {
      server.off("listening", onListening);
      resolve(error);
    };
    const onListening = () => {
      server.off("error", onError);
      resolve(null);
    };
    server.once("error", onError);
    server.once("listening", onListening);
    server.listen(where);
  });
}

/** The system knows no sharing of ports as it is needed here (macOS). */
export function cannotShare(fault: BindFault): boolean {
  return ["ENOTSUP", "EOPNOTSUPP", "ENOSYS", "ENOPROTOOPT"].includes(fault.code ?? "");
}

/**
 * Stops listening while another socket listens on the same port. Linux resets what waits in the queue
 * of a socket that closes, so it is closed when the queue is empty: new connections are accepted and
 * not yet answered, until the clients that were sent here wait for an answer; then the listener goes
 * in a turn of the event loop that had nothing to accept, and the waiting ones are served. Connections
 * that were accepted live on.
 */
export async function stopListening(server: Server): Promise<void> {
  const serve = server.listeners("connection");
  const parked: Socket[] = [];
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    // A client that leaves while it waits is no fault.
    socket.on("error", () => undefined);
    parked.push(socket);
  });
  const begin = performance.now();
  const late = () => performance.now() - begin > PATIENCE_MS;
  let seen = 0;
  do {
    for (let quiet = 0; quiet < QUIET_LOOKS && !late(); ) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      quiet = parked.length === seen ? quiet + 1 : 0;
      seen = parked.length;
    }
  } while (!(await closeInEmptyTurn(server, () => parked.length === seen || late())));
  server.removeAllListeners("connection");
  for (const listener of serve) server.on("connection", listener as () => void);
  for (const socket of parked) server.emit("connection", socket);
}

/** False: connections came meanwhile (`still` said no), and nothing was closed. */
function closeInEmptyTurn(server: Server, still: () => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    let last = performance.now();
    let turns = 0;
    const turn = () => {
      const now = performance.now();
      turns += 1;
      if (!still()) resolve(false);
      else if (now - last < EMPTY_TURN_MS || turns >= MAX_TURNS) {
        // The plain close: the one of node:http looks through all connections first.
        TcpServer.prototype.close.call(server);
        resolve(true);
      } else {
        last = now;
        setImmediate(turn);
      }
    };
    setImmediate(turn);
  });
}
