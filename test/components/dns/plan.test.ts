import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { monthlyUsd } from "../../../components/cost.ts";
import {
  type DnsNeed,
  planDns,
  tierDns,
  type ZoneFacts,
  zoneFaults,
} from "../../../components/dns/plan.ts";
import { dnsSettings } from "../../../components/dns/settings.ts";
import { ConfigError, type Fault } from "../../../components/errors.ts";

const plan = (need: Partial<DnsNeed>) => planDns({ required: true, ...need });
function faultsOf(need: Partial<DnsNeed>): readonly Fault[] {
  try {
    plan(need);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}
const settingsOf = (need: Partial<DnsNeed>) => faultsOf(need).map((f) => f.setting);

describe("the fleet's name", () => {
  test("is looked for in the zone of its parent when no zone is named", () => {
    expect(plan({ domain: "Chat.Example.com." })).toEqual({
      domain: "chat.example.com",
      zone: { name: "example.com" },
      role: null,
      checkDelegation: true,
    });
  });

  test("may be the zone's own name", () => {
    const need = { domain: "example.com", settings: { zoneName: "example.com" } };
    expect(plan(need)?.zone).toEqual({ name: "example.com" });
    expect(settingsOf({ domain: "example.com" })).toEqual(["dns.zoneName"]);
  });

  test("may be in a zone named by its id, in another account", () => {
    const roleArn = "arn:aws:iam::210987654321:role/dns";
    const settings = { zoneId: "Z0123456789ABC", roleArn, externalId: "prod" };
    expect(plan({ domain: "chat.example.com", settings })).toMatchObject({
      zone: { zoneId: "Z0123456789ABC" },
      role: { arn: roleArn, externalId: "prod" },
    });
  });

  test.each([
    "https://chat.example.com",
    "chat.example.com/fleet",
    "chat",
    "chat..example.com",
    "-chat.example.com",
    "chat_1.example.com",
    "192.0.2.7",
    `${"a".repeat(64)}.example.com`,
    `${"a.".repeat(126)}com`,
  ])("%s is refused: certificates and records are for names", (domain) => {
    expect(settingsOf({ domain })).toContain("domain");
  });

  test("is one if and only if every label is", () => {
    const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
    const top = fc.constantFrom("com", "example", "io");
    fc.assert(
      fc.property(fc.array(label, { minLength: 2, maxLength: 5 }), top, (labels, tld) => {
        const domain = [...labels, tld].join(".");
        expect(plan({ domain })?.domain).toBe(domain);
        expect(settingsOf({ domain: domain.replace(".", "_.") })).toContain("domain");
      }),
    );
  });

  test("is required where TLS is, and else may be missing", () => {
    expect(settingsOf({})).toEqual(["domain"]);
    expect(plan({ required: false })).toBeNull();
    const settings = { zoneName: "example.com", roleArn: "arn:aws:iam::210987654321:role/dns" };
    expect(settingsOf({ required: false, settings })).toEqual(["dns.zoneName", "dns.roleArn"]);
  });

  test("outside the named zone, with an id for no role: all is told at once", () => {
    const settings = { zoneName: "example.org", externalId: "prod" };
    const faults = faultsOf({ domain: "chat.example.com", settings });
    expect(faults.map((f) => f.setting)).toEqual(["domain", "dns.externalId"]);
    expect(faults[0]?.problem).toBe(
      "is chat.example.com, which is not in the zone example.org (dns.zoneName)",
    );
    expect(settingsOf({ domain: "notexample.com", settings: { zoneName: "example.com" } })).toEqual(
      ["domain"],
    );
  });
});

describe("the zone that was found", () => {
  const byId = planDns({
    domain: "chat.example.com",
    settings: { zoneId: "Z0123456789ABC" },
    required: true,
  });
  if (!byId) throw new Error("no plan");
  const zone: ZoneFacts = {
    zoneId: "Z0123456789ABC",
    name: "example.com",
    nameServers: ["ns-1.awsdns-01.org"],
    privateZone: false,
  };

  test("holds the domain and is public", () => {
    expect(zoneFaults(byId, zone)).toEqual([]);
  });

  test("is refused when private, and when the id is that of another name", () => {
    const faults = zoneFaults(byId, { ...zone, privateZone: true, name: "example.org" });
    expect(faults.map((f) => f.setting)).toEqual(["dns.zoneId", "domain"]);
  });

  test("costs the fleet nothing, and says so", () => {
    expect(monthlyUsd(tierDns(byId).costs)).toBe(0);
    expect(tierDns(byId).costs).toHaveLength(1);
  });
});

test("dns settings refuse what cannot be an id, a role or a setting", () => {
  const paths = (value: unknown) =>
    (dnsSettings.safeParse(value).error?.issues ?? []).map(({ path }) => path.join("."));
  expect(paths({ zoneId: "example.com" })).toEqual(["zoneId"]);
  expect(paths({ roleArn: "arn:aws:iam::210987654321:user/me" })).toEqual(["roleArn"]);
  expect(paths({ zone: "example.com" })).toEqual([""]);
  expect(dnsSettings.parse({})).toEqual({ checkDelegation: true });
});
