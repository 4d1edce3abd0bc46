import { isIPv4 } from "node:net";
import type { Fault } from "../errors.ts";
import { LIMITS } from "./catalog.ts";

/** Ports that clients come to: plain, and with a certificate. */
const PORTS = 2;

/** What is wrong with the ranges that may connect. AWS takes a range only as it begins. */
export function rangeFaults(publicTo: readonly string[]): Fault[] {
  const faults = publicTo.flatMap((range, i) => {
    const wrong = problemOf(range);
    return wrong ? [{ setting: `edge.publicTo[${i}]`, ...wrong }] : [];
  });
  const most = Math.floor(LIMITS.securityGroupRules / PORTS);
  const { size } = new Set(publicTo);
  if (size > most) {
    faults.push({
      setting: "edge.publicTo",
      problem: `has ${size} ranges, and a security group has rules for ${most}`,
      remedy: "Put neighbouring ranges together",
    });
  }
  return faults;
}

function problemOf(range: string): Pick<Fault, "problem" | "remedy"> | null {
  const [address = "", length = ""] = range.split("/");
  if (range.includes(":")) {
    return {
      problem: `is ${range}, and the way in has IPv4 addresses only`,
      remedy: "Name the IPv4 ranges of these clients",
    };
  }
  const bits = Number(length);
  if (!isIPv4(address) || bits > 32) {
    return { problem: `is ${range}, which is no range`, remedy: "Write it like 203.0.113.0/24" };
  }
  const number = address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
  if (number % 2 ** (32 - bits) === 0) return null;
  return {
    problem: `is ${range}, which does not begin where a /${bits} begins`,
    remedy: `Write the first address of the range, or ${address}/32 for this one alone`,
  };
}
