import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below those that the kernel hands out for outgoing connections: a port is still free when a program opens it, later. */
const FROM = 12_000;
const TO = 32_000;
const TRIES = 20;

/** What this process was given before: a test often asks twice before it opens anything. */
const given = new Set<number>();

/** Ports behind each other that are free on every one of the addresses, none of them given before. */
export async function freePorts(addresses: readonly string[], count: number): Promise<number[]> {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const from = randomInt(FROM, TO - count);
    const ports = Array.from({ length: count }, (_, n) => from + n);
    if (ports.some((port) => given.has(port)) || !(await areFree(addresses, ports))) continue;
    for (const port of ports) given.add(port);
    return ports;
  }
  throw new Error("no free ports");
}

/** One on 127.0.0.1. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(["127.0.0.1"], 1);
  return port as number;
}

async function areFree(addresses: readonly string[], ports: readonly number[]): Promise<boolean> {
  const servers = ports.flatMap((port) =>
    addresses.map((address) => createServer().listen(port, address)),
  );
  const ready = await Promise.allSettled(servers.map((server) => once(server, "listening")));
  await Promise.all(
    servers.map((server) => new Promise((resolve) => server.close(() => resolve(null)))),
  );
  return ready.every(({ status }) => status === "fulfilled");
}
