import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { differences, reveal, seal, secret } from "../../plugin/values.ts";

describe("differences name the smallest part", () => {
  test.each([
    [{ a: 1 }, { a: 1 }, []],
    [{ a: 1 }, { a: 2 }, [{ path: "a", kind: "update" }]],
    [{}, { a: 1 }, [{ path: "a", kind: "add" }]],
    [{ a: 1 }, {}, [{ path: "a", kind: "delete" }]],
    [
      { agents: { "my-bot": { systemPrompt: "x" } } },
      { agents: { "my-bot": { systemPrompt: "y" } } },
      [{ path: 'agents["my-bot"].systemPrompt', kind: "update" }],
    ],
    [
      { l: [1, 2] },
      { l: [1, 3, 4] },
      [
        { path: "l[1]", kind: "update" },
        { path: "l[2]", kind: "add" },
      ],
    ],
    [{ m: "demo" }, { m: { primary: "p/m" } }, [{ path: "m", kind: "update" }]],
  ])("%j to %j", (old, next, changes) => {
    expect(differences(old, next)).toEqual(changes);
  });

  test("nothing differs from itself", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (v) => {
        expect(differences(v, structuredClone(v))).toEqual([]);
      }),
    );
  });
});

describe("secrets", () => {
  test("sealing hides leaves, revealing brings back what was there", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(reveal(seal(value, () => true))).toEqual(value);
      }),
    );
    expect(seal({ a: { key: "k", b: 1 } }, (path) => path.at(-1) === "key")).toEqual({
      a: { key: secret("k"), b: 1 },
    });
  });
});
