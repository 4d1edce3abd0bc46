import { describe, expect, test } from "vitest";
import { Dns } from "../../../components/dns/index.ts";
import { lookUpZone, zoneProvider } from "../../../components/dns/lookup.ts";
import { type DnsNeed, type DnsPlan, planDns } from "../../../components/dns/plan.ts";
import { record, settled } from "../../support/pulumi-mocks.ts";

const CONTEXT = { region: "eu-central-1" };
const ROLE = "arn:aws:iam::210987654321:role/dns";

function build(settings: DnsNeed["settings"], answer: () => Record<string, unknown>) {
  const asked: unknown[] = [];
  const plan = planDns({ domain: "chat.example.com", settings, required: true }) as DnsPlan;
  const recording = record(
    async () => {
      const provider = zoneProvider("prod-dns", plan, CONTEXT);
      const zone = await lookUpZone(plan, { ...(provider ? { provider } : {}) });
      return new Dns("prod-dns", { plan, zone, provider });
    },
    {
      lookups: {
        "aws:route53/getZone:getZone": (args) => {
          asked.push(args);
          return answer();
        },
      },
    },
  );
  return { asked, recording };
}
const found = () => ({
  zoneId: "Z0123456789ABC",
  name: "example.com.",
  nameServers: ["ns-1.awsdns-01.org"],
  privateZone: false,
});

describe("a zone", () => {
  test("is adopted by name: nothing of it is registered, made or deleted", async () => {
    const { asked, recording } = build({}, found);
    const built = await recording;
    expect(built.resources.map((r) => r.type)).toEqual(["openclaw-fleet:base:Dns"]);
    expect(asked).toEqual([{ name: "example.com", privateZone: false }]);
    expect(await settled(built.value.zoneId)).toBe("Z0123456789ABC");
    expect(built.value.zoneName).toBe("example.com");
    expect(built.value.domain).toBe("chat.example.com");
    expect(built.value.provider).toBeUndefined();
  });

  test("is adopted by id", async () => {
    const { asked, recording } = build({ zoneId: "Z0123456789ABC" }, found);
    await recording;
    expect(asked).toEqual([{ zoneId: "Z0123456789ABC" }]);
  });

  test("of another account has a provider of its own, for that account alone", async () => {
    const { recording } = build({ roleArn: ROLE, externalId: "prod" }, found);
    const built = await recording;
    const { region, allowedAccountIds, assumeRoles } = built.one("pulumi:providers:aws").inputs;
    expect(region).toBe("eu-central-1");
    // A provider's inputs travel as text.
    expect(JSON.parse(allowedAccountIds)).toEqual(["210987654321"]);
    expect(JSON.parse(assumeRoles)).toEqual([{ roleArn: ROLE, externalId: "prod" }]);
    expect(built.value.provider).toBeDefined();
  });

  test("that is not there is an error, never made", async () => {
    const { recording } = build({ zoneName: "example.com" }, () => {
      throw new Error("no matching Route 53 Hosted Zone found");
    });
    await expect(recording).rejects.toThrow(
      /^openclaw-fleet:dns\.zoneName is example\.com, and no such public zone could be read in the account: .*none is created here$/s,
    );
  });
});
