import fc from "fast-check";
import { expect, test } from "vitest";
import { render } from "../../../cli/doctor/check.ts";
import { didYouMean } from "../../../cli/lib/nearest.ts";
import { table } from "../../../cli/lib/terminal.ts";
import { clip, wrap } from "../../../cli/lib/wrap.ts";

const word = fc.stringMatching(/^[a-z]{1,12}$/);

test("a wrapped text has the same words, and no line is longer than the terminal", () => {
  fc.assert(
    fc.property(
      fc.array(word, { maxLength: 40 }),
      fc.integer({ min: 40, max: 120 }),
      fc.integer({ min: 0, max: 18 }),
      (words, columns, indent) => {
        const text = words.join(" ");
        const wrapped = wrap(text, columns, indent);
        expect(wrapped.split(/\s+/).join(" ")).toBe(text);
        for (const line of wrapped.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
      },
    ),
  );
});

test("without a terminal nothing is broken, and a path never is", () => {
  const path = `/a/${"long/".repeat(40)}path`;
  expect(wrap(`see ${path} there`, Number.POSITIVE_INFINITY)).toBe(`see ${path} there`);
  expect(wrap(`see ${path} there`, 40)).toContain(path);
});

test("what is indented stays indented", () => {
  expect(wrap(`  ${"word ".repeat(20).trim()}`, 40, 4).split("\n")[1]).toMatch(/^ {4}word/);
});

test("a table's last column is broken below itself", () => {
  const drawn = table(["NAME", "TEXT"], [["a", "word ".repeat(30).trim()]], 40);
  for (const line of drawn.split("\n")) expect(line.length).toBeLessThanOrEqual(40);
  expect(drawn.match(/word/g)).toHaveLength(30);
});

test("every fault of a check stands below the first, each within the terminal", () => {
  const drawn = render([{ id: "settings", state: "fail", text: "first\nsecond", fix: "edit" }], 60);
  expect(drawn).toContain(`✗ settings  first\n${" ".repeat(12)}second\n${" ".repeat(12)}do: edit`);
});

test("a cut is told, and only a cut", () => {
  expect(clip("abc", 3)).toBe("abc");
  expect(clip("abcd", 3)).toBe("ab…");
});

test("a name is proposed when it is near, not when it only is as short", () => {
  expect(didYouMean("s9", ["s1", "s2"])).toBe(" Did you mean s1?");
  expect(didYouMean("x", ["a", "b"])).toBe("");
  expect(didYouMean("anything", [])).toBe("");
});
