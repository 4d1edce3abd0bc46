import fc from "fast-check";
import { expect, test } from "vitest";
import { withSecrets } from "../../../components/host/secrets.ts";
import { markSecrets } from "../../../stacks/hosts/marks.ts";

const all = () => true;

test("a secret leaves a mark with the path it stood at, and plain values stay", () => {
  const { value, secrets } = markSecrets(
    { openai: { apiKey: "sk-1", models: [{ id: "x" }] } },
    (path) => path.at(-1) === "apiKey",
    ["models", "providers"],
  );
  expect(value).toEqual({
    openai: { apiKey: "{{secret setting.models.providers.openai.apiKey}}", models: [{ id: "x" }] },
  });
  expect(secrets).toEqual({ "setting.models.providers.openai.apiKey": "sk-1" });
});

test("a secret that is no text is refused by its place", () => {
  expect(() => markSecrets({ pin: 1234 }, all, ["agents"])).toThrow(/agents\.pin is a secret/);
});

test("whatever the names and values, a file of the marked settings becomes the settings again", () => {
  const leaf = fc.string();
  const tree = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.dictionary(fc.string(), tie("node"), { maxKeys: 4 }),
      fc.array(tie("node"), { maxLength: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(tree, (settings) => {
      const { value, secrets } = markSecrets(settings, all, ["agents"]);
      const file = { content: JSON.stringify(value), format: "json" as const };
      expect(JSON.parse(withSecrets(file, secrets))).toEqual(JSON.parse(JSON.stringify(settings)));
    }),
  );
});
