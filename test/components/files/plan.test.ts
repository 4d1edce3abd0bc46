import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";
import { IDLE_DAYS } from "../../../components/files/catalog.ts";
import { planFiles, tierFiles } from "../../../components/files/plan.ts";
import { type FilesSettings, filesSettings } from "../../../components/files/settings.ts";

const plan = (set: Partial<FilesSettings> = {}, backupDays = 14, zones = 3) =>
  planFiles({ zones, backupDays, settings: filesSettings.parse(set) });

describe("planFiles", () => {
  it("gives every zone a way to the files, and every use its access point", () => {
    expect(plan()).toEqual({
      uses: ["skills", "knowledge"],
      mountTargets: 3,
      backup: true,
      storedGiB: 10,
      idle: "AFTER_30_DAYS",
      archive: "AFTER_90_DAYS",
    });
    expect(plan({}, 14, 2).mountTargets).toBe(2);
  });

  it("makes no backups where the environment keeps none: EFS would leave them behind", () => {
    expect(plan({}, 0).backup).toBe(false);
  });

  it("writes a single day as EFS does", () => {
    expect(plan({ idleAfterDays: 1 }).idle).toBe("AFTER_1_DAY");
  });

  it("takes no number of days that EFS does not know", () => {
    expect(() => filesSettings.parse({ idleAfterDays: 29 })).toThrow(/one of 1, 7, 14/);
    for (const days of IDLE_DAYS) {
      expect(filesSettings.parse({ idleAfterDays: days }).idleAfterDays).toBe(days);
    }
  });

  it("archives after 90 days at the earliest, and after the cheaper class", () => {
    expect(() => plan({ archiveAfterDays: 60 })).toThrow(/files\.archiveAfterDays is 60/);
    expect(() => plan({ idleAfterDays: 90, archiveAfterDays: 90 })).toThrow(/higher than/);
    expect(plan({ idleAfterDays: 60, archiveAfterDays: 90 }).archive).toBe("AFTER_90_DAYS");
  });
});

describe("tierFiles", () => {
  it("bills what is stored, moved, read, written and backed up", () => {
    const costs = tierFiles(plan({ storedGiB: 100 }), "us-east-1").costs;
    expect(costs.map((line) => [line.what, line.quantity])).toEqual([
      ["shared files stored", 40],
      ["shared files untouched for a month", 60],
      ["shared files read", 200],
      ["shared files written", 20],
      ["shared files' backups", 100],
    ]);
    expect(tierFiles(plan({}, 0), "us-east-1").costs.at(-1)?.quantity).toBe(0);
    expect(tierFiles(plan(), "ap-south-2").costs).toEqual([]);
  });

  it("never costs less for more files", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e5 }), fc.nat(1e5), (gib, more) => {
        for (const region of PRICE_REGIONS) {
          const cost = (storedGiB: number) =>
            monthlyUsd(tierFiles(plan({ storedGiB }), region).costs);
          expect(cost(gib + more)).toBeGreaterThanOrEqual(cost(gib));
        }
      }),
    );
  });
});
