import fc from "fast-check";
import { expect, test } from "vitest";
import {
  hasWrongMark,
  secretNames,
  secretsIn,
  withSecrets,
} from "../../../components/host/secrets.ts";

const name = fc.stringMatching(/^[A-Za-z0-9._[\]-]{1,20}$/);

test("marks are found by name, once each, over all files of a plan", () => {
  const file = (content: string) => ({ content, owner: "a", group: "a", mode: "0600" });
  const files = {
    "/a/b": file("x {{secret token.admin}} {{secret agents[0].env.KEY}}"),
    "/a/c": file("{{secret token.admin}}"),
  };
  expect(secretNames({ files })).toEqual(["agents[0].env.KEY", "token.admin"]);
});

test("text takes a secret as it is, JSON takes it so that it is read back as it is", () => {
  fc.assert(
    fc.property(name, fc.string(), fc.string(), (mark, value, around) => {
      fc.pre(!around.includes("{{secret"));
      const secrets = { [mark]: value };
      const text = withSecrets({ content: `${around}{{secret ${mark}}}` }, secrets);
      expect(text).toBe(around + value);
      const content = JSON.stringify({ key: `{{secret ${mark}}}` });
      expect(JSON.parse(withSecrets({ content, format: "json" }, secrets))).toEqual({ key: value });
      expect(secretsIn(content)).toEqual([mark]);
    }),
  );
});

test("a value that looks like a mark is not filled again", () => {
  const secrets = { a: "{{secret b}}", b: "no" };
  expect(withSecrets({ content: "{{secret a}}" }, secrets)).toBe("{{secret b}}");
});

test("a mark that is none is seen, and a missing secret is named", () => {
  for (const text of ["{{secret}}", "{{secret a b}}", "{{secret a}", "{{secret é}}"]) {
    expect(hasWrongMark(`x ${text} {{secret fine}}`)).toBe(true);
  }
  expect(hasWrongMark("{{secret fine}} {{other}}")).toBe(false);
  expect(() => withSecrets({ content: "{{secret gone}}" }, {})).toThrow("no secret is called gone");
});
