import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Zone } from "../../../components/context.ts";
import { ConfigError, type Fault } from "../../../components/errors.ts";
import { EXCLUDED_ZONES } from "../../../components/network/catalog.ts";
import { planNetwork } from "../../../components/network/plan.ts";
import { chooseZones, type ZoneNeed } from "../../../components/network/zones.ts";

const zone = (id: string, name = `zone-of-${id}`): Zone => ({ id, name });
const FRANKFURT = ["euc1-az3", "euc1-az1", "euc1-az2"].map((id) => zone(id));
const choose = (need: Partial<ZoneNeed>) =>
  chooseZones({ region: "eu-central-1", count: 2, offered: FRANKFURT, ...need }).map((z) => z.id);
const LOAD = { balancers: 1, publicHosts: 0, privateHosts: 2, dataPerZone: 6 };

function faultsOf(need: Partial<ZoneNeed>): readonly Fault[] {
  try {
    choose(need);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe("zones without pins", () => {
  test("are those with the lowest ids, whatever order the account lists them in", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(FRANKFURT, { minLength: 3 }), (offered) => {
        expect(choose({ offered })).toEqual(["euc1-az1", "euc1-az2"]);
        expect(choose({ offered, count: 3 })).toEqual(["euc1-az1", "euc1-az2", "euc1-az3"]);
      }),
    );
  });

  test("are compared by number: az10 comes after az2", () => {
    const offered = ["use1-az10", "use1-az2", "use1-az4"].map((id) => zone(id));
    expect(choose({ offered })).toEqual(["use1-az2", "use1-az4"]);
  });

  test("never include one that cannot hold a cluster", () => {
    for (const excluded of EXCLUDED_ZONES) {
      const kin = excluded.replace(/\d+$/, "");
      const offered = [excluded, `${kin}8`, `${kin}9`].map((id) => zone(id));
      expect(choose({ offered })).not.toContain(excluded);
      expect(faultsOf({ offered, count: 3 })[0]?.problem).toContain(`${excluded} cannot hold`);
    }
  });

  test("offer every type of machine that is needed", () => {
    const offerings = [{ instanceType: "g6.xlarge", zoneIds: ["euc1-az2", "euc1-az3"] }];
    expect(choose({ offerings })).toEqual(["euc1-az2", "euc1-az3"]);
    const [fault] = faultsOf({ offerings, count: 3 });
    expect(fault?.setting).toBe("aws.region");
    expect(fault?.problem).toContain("2 of 3 zones");
    expect(fault?.problem).toContain("euc1-az1 does not offer g6.xlarge");
  });
});

describe("zones that a network has", () => {
  test("come first in their order, and only then those with the lowest ids", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(FRANKFURT, { minLength: 2, maxLength: 3 }), (zones) => {
        const stood = zones.map(({ id }) => id);
        const chosen = choose({ stood, count: 3 });
        expect(chosen.slice(0, stood.length)).toEqual(stood);
        expect(new Set(chosen)).toEqual(new Set(FRANKFURT.map(({ id }) => id)));
      }),
    );
  });

  test("are named when they lack a machine, and so is the region without a further one", () => {
    const stood = ["euc1-az2", "euc1-az3"];
    const offerings = [{ instanceType: "g6.xlarge", zoneIds: ["euc1-az1", "euc1-az2"] }];
    const faults = faultsOf({ stood, count: 3, offerings });
    expect(faults.map(({ setting }) => setting)).toEqual(["aws.zones[1]", "aws.region"]);
    expect(faults[0]?.problem).toContain("does not offer g6.xlarge");
  });

  test("move no subnet when another is added", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(FRANKFURT, { minLength: 2, maxLength: 2 }), (two) => {
        const stood = two.map(({ id }) => id);
        const rangeIn = (zones: readonly string[]) => {
          const { subnets } = planNetwork({ zones: zones.length, load: LOAD });
          return zones.map((id, i) => [
            id,
            [subnets.public[i], subnets.private[i], subnets.data[i]],
          ]);
        };
        const three = rangeIn(choose({ stood, count: 3 }));
        expect(three.slice(0, 2)).toEqual(rangeIn(stood));
      }),
    );
  });
});

describe("pinned zones", () => {
  test("stay as they are, in their order, when the region gets a new one", () => {
    const pinned = ["euc1-az3", "euc1-az2"];
    expect(choose({ pinned })).toEqual(pinned);
    expect(choose({ pinned, offered: [...FRANKFURT, zone("euc1-az0")] })).toEqual(pinned);
  });

  test("are given the account's own names", () => {
    const offered = [zone("euc1-az1", "eu-central-1c"), zone("euc1-az2", "eu-central-1a")];
    const chosen = chooseZones({
      region: "eu-central-1",
      count: 2,
      offered,
      pinned: ["euc1-az2", "euc1-az1"],
    });
    expect(chosen.map((z) => z.name)).toEqual(["eu-central-1a", "eu-central-1c"]);
  });

  test("are refused all at once: unknown, twice, excluded, too many", () => {
    const offered = ["use1-az1", "use1-az2", "use1-az3"].map((id) => zone(id));
    const faults = faultsOf({
      offered,
      pinned: ["use1-az1", "use1-az1", "use1-az3"],
    });
    expect(faults.map((f) => f.setting)).toEqual(["aws.zones", "aws.zones[1]", "aws.zones[2]"]);
    expect(faults[1]?.problem).toContain("twice");
    expect(faults[2]?.problem).toContain("cannot hold");
    expect(faultsOf({ pinned: ["euc1-az1", "use1-az1"] })[0]?.problem).toContain("not offered");
    expect(faultsOf({ pinned: ["euc1-az1", "use1-az1"] })[0]?.remedy).toContain(
      "euc1-az1, euc1-az2, euc1-az3",
    );
  });
});
