import { expect, test } from "vitest";
import { type Part, type PartResult, row } from "./part.ts";
import { busyWarning, capacitySection, type Machine, partText } from "./text.ts";

const machine: Machine = { cores: 2, processor: "a | processor", gib: 24, load: 0.5 };
const part: Part = { name: "speed", title: "Speed", run: () => Promise.reject(new Error()) };
const plain = (_style: string, text: string): string => text;

const bound = (met: boolean) => ({ text: "≤ 1 s", met });
const result = (over: Partial<PartResult> = {}): PartResult => ({
  rows: [
    row("both", "0.5 s", "alone 0.4 s", { must: bound(true), aim: bound(true) }),
    row("between", "0.7 s", "", { must: bound(true), aim: bound(false) }),
    row("slow", "3 s", "", { must: bound(false), aim: bound(false) }),
    row("only aimed at", "2 s", "", { aim: bound(false) }),
    row("a fact", "12 MiB"),
  ],
  notes: ["From start to end."],
  laws: "Nothing was lost.",
  broken: [],
  ...over,
});

test("each number says what it comes to beside its must and its aim", () => {
  const text = partText(part, result(), plain);
  expect(text).toContain(
    "✓ both: 0.5 s\n    beside  alone 0.4 s\n    asked   must ≤ 1 s, aim ≤ 1 s: aim met",
  );
  expect(text).toContain("✓ between: 0.7 s\n    asked   must ≤ 1 s, aim ≤ 1 s: must met");
  expect(text).toContain("✗ slow: 3 s\n    asked   must ≤ 1 s, aim ≤ 1 s: must missed");
  expect(text).toContain("· a fact: 12 MiB\n");
  expect(text).toContain("again: ./fleet test bench speed");
});

test("an aim alone that is missed is no success and no miss of a must", () => {
  const text = partText(part, result(), plain);
  expect(text).toContain("· only aimed at: 2 s\n    asked   aim ≤ 1 s: aim missed");
});

test("a broken law takes the place of the sentence that says the laws held", () => {
  expect(partText(part, result(), plain)).toContain("✓ Nothing was lost.");
  const broken = result({ broken: ["one request never ended"] });
  for (const text of [
    partText(part, broken, plain),
    capacitySection(part, broken, machine, new Date(0)),
  ]) {
    expect(text).not.toContain("Nothing was lost.");
    expect(text).toContain("one request never ended");
  }
});

test("a section is one table, whatever stands in its cells", () => {
  const rows = [row("a | b", "1\n2", "", { must: bound(false) })];
  const section = capacitySection(part, result({ rows }), machine, new Date(0));
  expect(section).toContain("| a \\| b | 1 2 |  | ≤ 1 s |  | **must missed** |");
  expect(section).toContain("1970-01-01 00:00 UTC, 2 cores");
  expect(section).toContain("load 0.5 before it began, 0.5 at its end");
});

test("a machine that others use is named before its timings are", () => {
  expect(busyWarning(machine)).toBeNull();
  expect(busyWarning({ ...machine, load: 4 })).toContain("load 4.0 on 2 cores");
});
