import { promises as dns } from "node:dns";
import { ConfigError, type Fault } from "../errors.ts";
import { VALIDATION_TIMEOUT_MINUTES } from "./catalog.ts";
import { type DnsPlan, plainName, within, type ZoneFacts, zoneFaults } from "./plan.ts";

/** Asks the world who serves a name. Rejects with `code` ENOTFOUND or ENODATA when nobody does. */
export interface NsResolver {
  resolveNs(name: string): Promise<string[]>;
}

/** What the world says of a domain. */
export type Delegation =
  /** The zone's own name servers answer for it. */
  | { readonly state: "here" }
  /** Others answer for `name`: the zone, or a part of it that the domain is in. */
  | { readonly state: "elsewhere"; readonly name: string; readonly servers: readonly string[] }
  /** Nobody does. */
  | { readonly state: "nowhere" }
  /** It could not be asked, which is not the same as a good answer. */
  | { readonly state: "unknown"; readonly reason: string };

/** Milliseconds and attempts for one question. */
const ASK = { timeout: 3_000, tries: 2 };

/** The name servers that this machine asks for everything. */
export function machineResolver(): NsResolver {
  return new dns.Resolver(ASK);
}

/**
 * Who answers for a domain: from the domain upwards to the zone, the first name that has name servers of
 * its own. A part of a zone can be given to others, and records of it in the zone are then never seen.
 */
export async function askDelegation(
  domain: string,
  zone: Pick<ZoneFacts, "name" | "nameServers">,
  resolver: NsResolver,
): Promise<Delegation> {
  const ours = new Set(zone.nameServers.map(plainName));
  for (let name = domain; within(name, zone.name); name = name.slice(name.indexOf(".") + 1)) {
    try {
      const servers = (await resolver.resolveNs(name)).map(plainName).sort();
      if (servers.length > 0) {
        const allOurs = name === zone.name && servers.every((server) => ours.has(server));
        return allOurs ? { state: "here" } : { state: "elsewhere", name, servers };
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== "ENOTFOUND" && code !== "ENODATA") {
        return { state: "unknown", reason: code ?? message };
      }
    }
  }
  return { state: "nowhere" };
}

/**
 * Everything that can be known of the zone before the first resource is made. Throws ConfigError: a
 * certificate would otherwise wait more than an hour for a record that nobody sees, and then fail.
 */
export async function checkZone(
  plan: DnsPlan,
  zone: ZoneFacts,
  resolver: NsResolver = machineResolver(),
): Promise<void> {
  const faults = zoneFaults(plan, zone);
  if (faults.length === 0 && plan.checkDelegation) {
    const fault = delegationFault(plan, zone, await askDelegation(plan.domain, zone, resolver));
    if (fault) faults.push(fault);
  }
  if (faults.length > 0) throw new ConfigError(faults);
}

function delegationFault(plan: DnsPlan, zone: ZoneFacts, found: Delegation): Fault | undefined {
  const setting = "zoneId" in plan.zone ? "dns.zoneId" : "dns.zoneName";
  const own = [...zone.nameServers].sort().join(", ");
  const wait = `a certificate would wait ${VALIDATION_TIMEOUT_MINUTES} minutes for it and fail`;
  switch (found.state) {
    case "here":
      return undefined;
    case "elsewhere":
      return {
        setting: found.name === zone.name ? setting : "domain",
        problem:
          found.name === zone.name
            ? `is ${zone.name}, for which the world asks ${found.servers.join(", ")} and not only this zone's ${own}: ${wait}`
            : `is ${plan.domain}, and ${found.name} is delegated to ${found.servers.join(", ")}: records in ${zone.name} are not seen there`,
        remedy:
          found.name === zone.name
            ? `Set the name servers of ${zone.name} to ${own} where the domain was bought, or name the zone that they serve`
            : `Set dns.zoneName to ${found.name}, if that zone is yours`,
      };
    case "nowhere":
      return {
        setting,
        problem: `is ${zone.name}, for which the world knows no name server: ${wait}`,
        remedy: `Set the name servers of ${zone.name} to ${own} where the domain was bought`,
      };
    case "unknown":
      return {
        setting,
        problem: `is ${zone.name}, and who serves it could not be asked from here (${found.reason})`,
        remedy: "Try again, or set dns.checkDelegation to false where no name server can be asked",
      };
  }
}
