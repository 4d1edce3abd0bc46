import { describe, expect, test } from "vitest";
import { askDelegation, checkZone, type NsResolver } from "../../../components/dns/delegation.ts";
import { type DnsPlan, planDns, type ZoneFacts } from "../../../components/dns/plan.ts";
import { ConfigError, type Fault } from "../../../components/errors.ts";

const OURS = ["ns-1.awsdns-01.org", "ns-2.awsdns-02.com"];
const ZONE: ZoneFacts = {
  zoneId: "Z0123456789ABC",
  name: "example.com",
  nameServers: OURS,
  privateZone: false,
};
const DOMAIN = "chat.eu.example.com";

/** A world that knows these name servers, and fails as a string says. */
function world(known: Record<string, string[] | string>) {
  const asked: string[] = [];
  const resolver: NsResolver = {
    resolveNs: async (name) => {
      asked.push(name);
      const answer = known[name] ?? "ENODATA";
      if (typeof answer !== "string") return answer;
      throw Object.assign(new Error(`queryNs ${answer} ${name}`), { code: answer });
    },
  };
  return { asked, resolver };
}
const ask = (known: Record<string, string[] | string>) =>
  askDelegation(DOMAIN, ZONE, world(known).resolver);

const PLAN = planDns({
  domain: DOMAIN,
  settings: { zoneName: "example.com" },
  required: true,
}) as DnsPlan;

async function faultsOf(known: Record<string, string[] | string>, plan = PLAN, zone = ZONE) {
  const { asked, resolver } = world(known);
  let faults: readonly Fault[] = [];
  await checkZone(plan, zone, resolver).catch((error) => {
    if (!(error instanceof ConfigError)) throw error;
    faults = error.faults;
  });
  return { faults, asked };
}

describe("who answers for a domain", () => {
  test("is asked from the domain upwards, never above the zone", async () => {
    const { asked, resolver } = world({});
    expect(await askDelegation(DOMAIN, ZONE, resolver)).toEqual({ state: "nowhere" });
    expect(asked).toEqual([DOMAIN, "eu.example.com", "example.com"]);
  });

  test.each([
    ["in any order and writing", [...OURS].reverse().map((ns) => `${ns.toUpperCase()}.`)],
    ["some of them", OURS.slice(1)],
  ])("is the zone, when the world names its servers: %s", async (_, servers) => {
    expect(await ask({ "example.com": servers })).toEqual({ state: "here" });
  });

  test("is not the zone alone, when one foreign server is among them: it answers some of the time", async () => {
    expect(await ask({ "example.com": [...OURS, "ns.old.net"] })).toMatchObject({
      state: "elsewhere",
      name: "example.com",
    });
  });

  test("is another zone, when a part between was given away", async () => {
    expect(await ask({ "example.com": OURS, "eu.example.com": ["ns.old.net"] })).toEqual({
      state: "elsewhere",
      name: "eu.example.com",
      servers: ["ns.old.net"],
    });
  });

  test.each(["ETIMEOUT", "ESERVFAIL", "ECONNREFUSED"])(
    "is unknown after %s, which is not a good answer",
    async (code) => {
      expect(await ask({ [DOMAIN]: code, "example.com": OURS })).toEqual({
        state: "unknown",
        reason: code,
      });
    },
  );

  test("is nobody of this zone for a name outside it", async () => {
    const { asked, resolver } = world({});
    expect(await askDelegation("chat.example.org", ZONE, resolver)).toEqual({ state: "nowhere" });
    expect(asked).toEqual([]);
  });
});

describe("before the first resource", () => {
  test("a zone that the world asks passes", async () => {
    expect((await faultsOf({ "example.com": OURS })).faults).toEqual([]);
  });

  test.each([
    ["other servers", { "example.com": ["ns.old.net"] }, "ns.old.net"],
    ["no servers", {}, "no name server"],
    ["no answer", { "chat.eu.example.com": "ETIMEOUT" }, "could not be asked from here (ETIMEOUT)"],
  ])("%s are an error that says what to set", async (_, known, problem) => {
    const { faults } = await faultsOf(known);
    expect(faults).toHaveLength(1);
    expect(faults[0]?.setting).toBe("dns.zoneName");
    expect(faults[0]?.problem).toContain(problem);
    const way = problem.startsWith("could") ? "dns.checkDelegation" : OURS.join(", ");
    expect(faults[0]?.remedy).toContain(way);
  });

  test("a part that was given away is an error of the domain, and names that part", async () => {
    const { faults } = await faultsOf({ "eu.example.com": ["ns.old.net"] });
    expect(faults[0]).toMatchObject({
      setting: "domain",
      remedy: "Set dns.zoneName to eu.example.com, if that zone is yours",
    });
  });

  test("nobody is asked when told not to, or when the zone itself is wrong", async () => {
    const off = await faultsOf({}, { ...PLAN, checkDelegation: false });
    expect(off).toEqual({ faults: [], asked: [] });
    const wrong = await faultsOf({}, PLAN, { ...ZONE, privateZone: true });
    expect(wrong.asked).toEqual([]);
    expect(wrong.faults.map((f) => f.setting)).toEqual(["dns.zoneName"]);
  });
});
