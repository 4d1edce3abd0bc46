import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  DOCS_FILE,
  docsFor,
  editorSchema,
  SCHEMA_FILE,
  settingDocs,
  settingsPage,
} from "../../stacks/schema.ts";

const read = (file: string) => readFileSync(join(import.meta.dirname, "../..", file), "utf8");

describe("what is made from the settings' schema", () => {
  test("the editor schema in the tree is the current one (node stacks/generate.ts)", () => {
    expect(JSON.parse(read(SCHEMA_FILE))).toEqual(editorSchema());
  });

  test("the settings page in the tree is the current one (node stacks/generate.ts)", () => {
    expect(read(DOCS_FILE)).toBe(settingsPage());
  });

  test("every setting says what it means", () => {
    for (const doc of settingDocs()) expect(doc.description, doc.path).not.toBe("");
  });

  test("a setting is found as people write it", () => {
    expect(docsFor("agents[0].replicas").map((d) => d.path)).toEqual(["agents[].replicas"]);
    expect(docsFor("openclaw-fleet:tokens").map((d) => d.path)).toEqual([
      "tokens",
      "tokens.client",
      "tokens.admin",
    ]);
    expect(docsFor("nothing")).toEqual([]);
  });

  test("a text may be a Pulumi secret, a choice may not", () => {
    const { config } = editorSchema().properties as {
      config: { properties: Record<string, { anyOf?: unknown[]; enum?: unknown[] }> };
    };
    expect(config.properties["openclaw-fleet:domain"]?.anyOf).toHaveLength(2);
    expect(config.properties["openclaw-fleet:target"]?.enum).toContain("local");
  });
});
