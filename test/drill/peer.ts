import type { IncomingMessage } from "node:http";

/** The other end of a connection. */
export interface Peer {
  /** IPv4. */
  address: string;
  port: number;
}

/** Null when the connection is over already. */
export function peerOf({ socket }: IncomingMessage): Peer | null {
  const { remoteAddress: address, remotePort: port } = socket;
  return address === undefined || port === undefined ? null : { address, port };
}
