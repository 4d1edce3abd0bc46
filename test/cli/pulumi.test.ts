import { expect, test } from "vitest";
import { parse } from "yaml";
import {
  saltFirst,
  secretLines,
  secretsProviderOf,
  withoutUnusedProvider,
} from "../../cli/stack-secrets.ts";

const WRITTEN = "# Mine.\nconfig:\n  openclaw-fleet:target: local # here\n";
const SALT = "encryptionsalt: v1:abc=:v1:def==\n";

test("a setting added at the end of a new stack's file is a setting", () => {
  const moved = saltFirst(WRITTEN + SALT);
  const read = parse(`${moved}  openclaw-fleet:nodes: 3\n`) as Record<string, object>;
  expect(read.encryptionsalt).toBe("v1:abc=:v1:def==");
  expect(read.config).toEqual({ "openclaw-fleet:target": "local", "openclaw-fleet:nodes": 3 });
  expect(moved).toContain(WRITTEN);
});

test("a file whose salt is not last is a person's, and stays as it is", () => {
  expect(saltFirst(SALT + WRITTEN)).toBe(SALT + WRITTEN);
  expect(saltFirst(WRITTEN)).toBe(WRITTEN);
  expect(saltFirst(saltFirst(WRITTEN + SALT))).toBe(saltFirst(WRITTEN + SALT));
});

const PROVIDER = "secretsprovider: awskms://alias/openclaw-fleet-state?region=eu-central-1\n";
const KEY = "encryptedkey: AQICAHh=\n";

test("a key that Pulumi appends is put first as a salt is, and the provider stays where it was", () => {
  const moved = saltFirst(PROVIDER + WRITTEN + KEY);
  const read = parse(`${moved}  openclaw-fleet:nodes: 3\n`) as Record<string, unknown>;
  expect(read.config).toHaveProperty(["openclaw-fleet:nodes"], 3);
  expect(read.encryptedkey).toBe("AQICAHh=");
  expect(secretLines(moved).sort()).toEqual([KEY.trim(), PROVIDER.trim()]);
});

test("who encrypts a stack's secrets is read from its file", () => {
  expect(secretsProviderOf(PROVIDER + WRITTEN)).toBe(
    "awskms://alias/openclaw-fleet-state?region=eu-central-1",
  );
  expect(secretsProviderOf('secretsprovider: "awskms://x"\n')).toBe("awskms://x");
  expect(secretsProviderOf(WRITTEN)).toBeUndefined();
});

test("a copy that is thrown away asks no key service that has encrypted nothing", () => {
  expect(withoutUnusedProvider(PROVIDER + WRITTEN)).toBe(WRITTEN);
  expect(withoutUnusedProvider(PROVIDER + KEY + WRITTEN)).toBe(PROVIDER + KEY + WRITTEN);
});
