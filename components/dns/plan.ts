import type { Tier } from "../cost.ts";
import { ConfigError, type Fault } from "../errors.ts";
import { LABEL_MAX, NAME_MAX } from "./catalog.ts";
import type { DnsSettings } from "./settings.ts";

export interface DnsNeed {
  /** `domain`: the name under which people reach the fleet. */
  readonly domain?: string;
  /** `dns`. */
  readonly settings?: Partial<DnsSettings>;
  /** The fleet must be reached by TLS, which needs a name. */
  readonly required: boolean;
}

/** How the zone is found. */
export type ZoneBy = { readonly zoneId: string } | { readonly name: string };

export interface DnsPlan {
  /** Lower case, without a dot at its end. */
  readonly domain: string;
  readonly zone: ZoneBy;
  /** Taken on for the zone's records; null: the zone is in the fleet's own account. */
  readonly role: { readonly arn: string; readonly externalId?: string } | null;
  readonly checkDelegation: boolean;
}

/** A zone as AWS describes it. */
export interface ZoneFacts {
  readonly zoneId: string;
  /** Without a dot at its end. */
  readonly name: string;
  readonly nameServers: readonly string[];
  readonly privateZone: boolean;
}

/** The fleet's name and where its records go; null without a domain. Throws ConfigError with every fault. */
export function planDns({ domain: wish, settings = {}, required }: DnsNeed): DnsPlan | null {
  const faults: Fault[] = [];
  if (wish === undefined) {
    if (required) {
      faults.push({
        setting: "domain",
        problem: "is not set, and certificates are for names",
        remedy: "Set it to a name in a Route 53 zone of yours, e.g. chat.example.com",
      });
    }
    for (const name of ["zoneId", "zoneName", "roleArn"] as const) {
      if (settings[name] === undefined) continue;
      faults.push({
        setting: `dns.${name}`,
        problem: "is set, and domain is not",
        remedy: "Set domain, or leave dns out",
      });
    }
    if (faults.length > 0) throw new ConfigError(faults);
    return null;
  }
  const domain = plainName(wish);
  checkName("domain", wish, faults);
  const zoneName = settings.zoneName === undefined ? undefined : plainName(settings.zoneName);
  if (settings.zoneName !== undefined) checkName("dns.zoneName", settings.zoneName, faults);
  if (zoneName !== undefined && !within(domain, zoneName)) {
    faults.push({
      setting: "domain",
      problem: `is ${wish}, which is not in the zone ${settings.zoneName} (dns.zoneName)`,
      remedy: `Choose a name that ends in .${zoneName}, or name the domain's own zone`,
    });
  }
  const parent = domain.slice(domain.indexOf(".") + 1);
  if (!settings.zoneId && zoneName === undefined && !parent.includes(".")) {
    faults.push({
      setting: "dns.zoneName",
      problem: `is not set, and ${parent} is no zone of yours`,
      remedy: `Set it to ${domain}, if that is the zone's own name`,
    });
  }
  if (settings.externalId !== undefined && settings.roleArn === undefined) {
    faults.push({
      setting: "dns.externalId",
      problem: "is set, and dns.roleArn is not",
      remedy: "Name the role that asks for it, or leave it out",
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return {
    domain,
    zone: settings.zoneId ? { zoneId: settings.zoneId } : { name: zoneName ?? parent },
    role: settings.roleArn
      ? {
          arn: settings.roleArn,
          ...(settings.externalId ? { externalId: settings.externalId } : {}),
        }
      : null,
    checkDelegation: settings.checkDelegation ?? true,
  };
}

/** What is wrong with the zone that was found. */
export function zoneFaults(plan: DnsPlan, zone: ZoneFacts): Fault[] {
  const setting = "zoneId" in plan.zone ? "dns.zoneId" : "dns.zoneName";
  const faults: Fault[] = [];
  if (zone.privateZone) {
    faults.push({
      setting,
      problem: `is ${zone.name}, a private zone: neither people nor the certificate's authority can ask it`,
      remedy: "Name a public zone",
    });
  }
  if (!within(plan.domain, zone.name)) {
    faults.push({
      setting: "domain",
      problem: `is ${plan.domain}, which is not in the zone ${zone.name} (${setting})`,
      remedy: `Choose a name that ends in .${zone.name}, or name the domain's own zone`,
    });
  }
  return faults;
}

/** Whether a name is a zone's own or below it. */
export function within(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}

export function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function checkName(setting: string, text: string, faults: Fault[]): void {
  const name = plainName(text);
  const labels = name.split(".");
  const good = (label: string) =>
    label.length <= LABEL_MAX && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label);
  const address = /^[\d.]+$/.test(name);
  if (!address && name.length <= NAME_MAX && labels.length > 1 && labels.every(good)) return;
  faults.push({
    setting,
    problem: `is ${text}, which is ${address ? "an address" : "no name of a host"}`,
    remedy: "Write a name like chat.example.com: letters, digits and -, without https:// or a path",
  });
}

/** The zone's row of `fleet plan`. */
export function tierDns(plan: DnsPlan): Tier {
  const zone = "zoneId" in plan.zone ? plan.zone.zoneId : plan.zone.name;
  return {
    tier: "dns",
    size: `${plan.domain} in ${zone}`,
    count: 1,
    why: "domain; the zone is there already and stays",
    survives: "the loss of a zone or region: Route 53 is everywhere",
    // Answers with aliases to balancers are free, and the zone is on its owner's bill.
    costs: [{ what: "Records in the zone", quantity: 1, unit: "zone", priceUsd: 0 }],
  };
}
