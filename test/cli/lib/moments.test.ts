import { describe, expect, it } from "vitest";
import { momentAt, timeOf, utc } from "../../../cli/lib/moments.ts";

const NOW = Date.parse("2026-11-21T15:00:00Z");
const point = (at: string) => ({
  at,
  epoch: 1,
  node: "n1",
  place: `000000000001-n1-i/${Date.parse(at)}`,
  site: null,
  release: "r",
  bytes: 1,
  databases: 1,
});

describe("a time as people write it", () => {
  it("is so long ago, or a moment in UTC unless it names a zone", () => {
    expect(utc(timeOf("10m", NOW))).toBe("2026-11-21 14:50:00");
    expect(utc(timeOf("2026-11-21 14:30", NOW))).toBe("2026-11-21 14:30:00");
    expect(utc(timeOf("2026-11-21T14:30:05", NOW))).toBe("2026-11-21 14:30:05");
    expect(utc(timeOf("2026-11-21T14:30+02:00", NOW))).toBe("2026-11-21 12:30:00");
  });

  it("is refused when it could mean several", () => {
    for (const text of ["yesterday", "14:30", "21.11.2026", "10", ""]) {
      expect(() => timeOf(text, NOW)).toThrow(/is no time/);
    }
  });
});

describe("the moment of a time", () => {
  const points = ["2026-11-21T14:58:00Z", "2026-11-21T14:50:00Z", "2026-11-21T14:00:00Z"].map(
    point,
  );

  it("is the last one that is not later", () => {
    expect(momentAt("s1", points, NOW).at).toBe("2026-11-21T14:58:00Z");
    expect(momentAt("s1", points, NOW - 600_000).at).toBe("2026-11-21T14:50:00Z");
    expect(momentAt("s1", points, NOW - 600_001).at).toBe("2026-11-21T14:00:00Z");
  });

  it("is told to be missing with the earliest there is", () => {
    try {
      momentAt("s1", points, NOW - 7_200_000);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        message: "s1 has no moment as early as 2026-11-21 13:00:00",
        why: "its earliest is of 2026-11-21 14:00:00",
      });
    }
  });
});
