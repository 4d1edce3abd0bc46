import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { spliceSetting } from "../../../cli/lib/splice-setting.ts";

const splice = (text: string) => spliceSetting(text, ["cluster", "version"], "1.36");
const REST = `# Mine.
config:
  openclaw-fleet:target: eks # here
  openclaw-fleet:cluster: # of ours
    access: private   # spaced
    version: "1.35" # for now
    admins:
      - arn:aws:iam::210987654321:role/deploy
  openclaw-fleet:models: demo
`;

test("one value changes and every other byte stays", () => {
  expect(splice(REST)).toBe(REST.replace('"1.35"', '"1.36"'));
});

describe("a version that is not there yet is added at the end of what holds it", () => {
  test.each([
    [
      "below other keys",
      "config:\n  openclaw-fleet:cluster:\n    access: private # yes\n  openclaw-fleet:target: eks\n",
      'config:\n  openclaw-fleet:cluster:\n    access: private # yes\n    version: "1.36"\n  openclaw-fleet:target: eks\n',
    ],
    [
      "below a list",
      "config:\n  openclaw-fleet:cluster:\n    admins:\n      - arn:x # ann\n  # next\n  openclaw-fleet:target: eks\n",
      'config:\n  openclaw-fleet:cluster:\n    admins:\n      - arn:x # ann\n    version: "1.36"\n  # next\n  openclaw-fleet:target: eks\n',
    ],
    [
      "in braces",
      "config:\n  openclaw-fleet:cluster: { access: private } # short\n",
      'config:\n  openclaw-fleet:cluster: { version: "1.36", access: private } # short\n',
    ],
    [
      "with its map",
      "config:\n  openclaw-fleet:target: eks\n",
      'config:\n  openclaw-fleet:target: eks\n  openclaw-fleet:cluster:\n    version: "1.36"\n',
    ],
    [
      "at an end without a line break",
      "config:\n    openclaw-fleet:target: eks",
      'config:\n    openclaw-fleet:target: eks\n    openclaw-fleet:cluster:\n      version: "1.36"\n',
    ],
    [
      "before what Pulumi keeps below",
      "config:\n  openclaw-fleet:target: eks\nencryptionsalt: v1:abc\n",
      'config:\n  openclaw-fleet:target: eks\n  openclaw-fleet:cluster:\n    version: "1.36"\nencryptionsalt: v1:abc\n',
    ],
  ])("%s", (_, before, after) => {
    expect(splice(before)).toBe(after);
  });
});

test.each([
  [
    "an anchor that stands for the map",
    "x: &c {version: '1.35'}\nconfig:\n  openclaw-fleet:cluster: *c\n",
  ],
  ["a list where the map should be", "config:\n  openclaw-fleet:cluster: [a]\n"],
  ["an empty file", ""],
])("%s is left to the person, with what to write", (_, text) => {
  expect(() => splice(text)).toThrow(/cannot be changed in the file/);
});

test("law: the file means the same but for the one value, and its comments are all there", () => {
  const comment = fc.stringMatching(/^[a-z ]{0,12}$/);
  const entry = fc.record({
    key: fc.stringMatching(/^[a-z]{3,8}$/),
    value: fc.oneof(fc.stringMatching(/^[a-z]{1,6}$/), fc.integer(), fc.boolean()),
    comment,
  });
  const entries = fc.uniqueArray(entry, { selector: ({ key }) => key, maxLength: 5 });
  fc.assert(
    fc.property(entries, entries, fc.boolean(), (before, inside, has) => {
      const cluster = inside.filter(({ key }) => key !== "version");
      const lines = (list: typeof before, indent: string, prefix = "") =>
        list.map(({ key, value, comment }) => `${indent}${prefix}${key}: ${value} # ${comment}`);
      const text = [
        "config:",
        ...lines(before, "  ", "openclaw-fleet:"),
        "  openclaw-fleet:zz-other: 1",
        "  openclaw-fleet:cluster:",
        ...lines(cluster, "    "),
        ...(has || cluster.length === 0 ? ['    version: "1.35" # old'] : []),
        "  openclaw-fleet:zz-last: 2 # end",
        "",
      ].join("\n");
      const after = splice(text);
      const wanted = parse(text);
      wanted.config["openclaw-fleet:cluster"].version = "1.36";
      expect(parse(after)).toEqual(wanted);
      const comments = (each: string) => each.match(/#.*/g) ?? [];
      expect(comments(after)).toEqual(comments(text));
    }),
  );
});
