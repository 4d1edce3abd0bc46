import { randomInt } from "node:crypto";
import { networkInterfaces } from "node:os";
import { run } from "./machine.ts";

/** A network of a lab's own: a bridge that leads nowhere else. */
export interface LabNetwork {
  readonly bridge: string;
  /** First three bytes of every address, with dots. */
  readonly prefix: string;
}

/** The machine's own address in a lab. */
export const MACHINE = 1;
/** Last byte of the first host's address. */
const FIRST = 10;

export const addressOf = (network: LabNetwork, index: number): string =>
  `${network.prefix}.${FIRST + index}`;

/** Runs a program of the image, which is then the same on every machine, in this machine's network. */
export const ofImage = (base: string, argv: readonly string[]): string[] => [
  "chroot",
  base,
  ...argv,
];

/** Makes a bridge with a random private network that nobody here uses. */
export async function makeNetwork(base: string, bridge: string): Promise<LabNetwork> {
  const ip = (...args: string[]) => run(ofImage(base, ["ip", ...args]));
  for (let attempt = 1; ; attempt++) {
    const prefix = `10.${randomInt(100, 250)}.${randomInt(1, 255)}`;
    const { stdout: routes } = await ip("route", "show");
    if (inUse(prefix, routes)) continue;
    await ip("link", "add", bridge, "type", "bridge", "forward_delay", "0");
    try {
      await ip("address", "add", `${prefix}.${MACHINE}/24`, "dev", bridge);
      await ip("link", "set", bridge, "up");
    } catch (error) {
      await ip("link", "del", bridge);
      throw error;
    }
    // Another lab may have taken the same one in the meantime.
    if (owners(prefix).length <= 1) return { bridge, prefix };
    await ip("link", "del", bridge);
    if (attempt >= 10) throw new Error("no free private network was found for a lab");
  }
}

const inUse = (prefix: string, routes: string) =>
  owners(prefix).length > 0 || routes.includes(`${prefix}.0`);

function owners(prefix: string): string[] {
  return Object.entries(networkInterfaces())
    .filter(([, all]) => all?.some(({ address }) => address.startsWith(`${prefix}.`)))
    .map(([name]) => name);
}
