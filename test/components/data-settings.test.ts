import { describe, expect, it } from "vitest";
import { z } from "zod";
import { bucketsSettings } from "../../components/buckets/settings.ts";
import { cacheSettings } from "../../components/cache/settings.ts";
import { databaseSettings } from "../../components/database/settings.ts";
import { filesSettings } from "../../components/files/settings.ts";

const SETTINGS = {
  cache: cacheSettings,
  database: databaseSettings,
  files: filesSettings,
  buckets: bucketsSettings,
};

describe.each(Object.entries(SETTINGS))("settings %s", (_, schema) => {
  it("need nothing written", () => {
    expect(schema.safeParse({}).success).toBe(true);
  });

  it("refuse a key that they do not know", () => {
    const result = schema.safeParse({ nodeTyp: "x" });
    expect(result.error?.issues[0]).toMatchObject({ code: "unrecognized_keys" });
  });

  it("describe every field, by meaning and what a change does", () => {
    const { properties } = z.toJSONSchema(schema, { io: "input" });
    for (const [name, field] of Object.entries(properties ?? {})) {
      const { description = "" } = field as { description?: string };
      expect(description.length, name).toBeGreaterThan(40);
    }
  });
});
