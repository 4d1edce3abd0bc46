import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  findBackend,
  prepareBackend,
  pulumiVariables,
  shellExports,
} from "../../toolchain/pulumi-env.ts";
import type { Tool } from "../../toolchain/tool.ts";

let home: string;
let env: NodeJS.ProcessEnv;
const tool = (path: string): Tool => ({ path, version: "3.259.0", source: "path", why: "" });
const tools = { pulumi: tool("/p/pulumi"), languageHost: tool("/l/pulumi-language-nodejs") };

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "fleet-env-"));
  env = { XDG_DATA_HOME: join(home, "data"), XDG_CACHE_HOME: join(home, "cache"), PATH: "/bin" };
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

const passphrase = () => join(home, "data", "openclaw-fleet", "pulumi", "passphrase");

test("the passphrase is made once, for its owner only, and never printed", () => {
  prepareBackend(env);
  const first = readFileSync(passphrase(), "utf8");
  expect(first.trim().length).toBeGreaterThanOrEqual(32);
  expect(statSync(passphrase()).mode & 0o777).toBe(0o600);
  prepareBackend(env);
  expect(readFileSync(passphrase(), "utf8")).toBe(first);
  expect(shellExports(pulumiVariables(tools, env))).not.toContain(first.trim());
});

test("what the user set is left as it is", () => {
  const own = {
    ...env,
    PULUMI_BACKEND_URL: "s3://bucket",
    PULUMI_HOME: "/own",
    PULUMI_CONFIG_PASSPHRASE: "",
  };
  prepareBackend(own);
  const variables = pulumiVariables(tools, own);
  expect(Object.keys(variables)).not.toContain("PULUMI_BACKEND_URL");
  expect(Object.keys(variables)).not.toContain("PULUMI_HOME");
  expect(Object.keys(variables)).not.toContain("PULUMI_CONFIG_PASSPHRASE_FILE");
  expect(() => statSync(passphrase())).toThrow();
});

test("Pulumi.yaml may name a backend", () => {
  writeFileSync(join(home, "Pulumi.yaml"), "name: x\nbackend:\n  url: file:///elsewhere\n");
  expect(findBackend(env, home).url).toBe("file:///elsewhere");
  expect(findBackend({ ...env, PULUMI_BACKEND_URL: "s3://b" }, home).url).toBe("s3://b");
});

test("a lost passphrase is not replaced while stacks are encrypted with it", () => {
  prepareBackend(env);
  rmSync(passphrase());
  mkdirSync(join(home, "data", "openclaw-fleet", "pulumi", ".pulumi", "stacks", "openclaw-fleet"), {
    recursive: true,
  });
  expect(() => prepareBackend(env)).toThrow(/passphrase is gone/);
});

test("the project's programs come first on PATH, once", () => {
  const once = pulumiVariables(tools, env);
  const twice = pulumiVariables(tools, { ...env, ...once });
  expect(twice.PATH).toBe(once.PATH);
  expect(once.PATH?.split(delimiter)).toContain("/p");
  expect(once.PATH?.endsWith(`${delimiter}/bin`)).toBe(true);
});

test("exports survive blanks and quotes in paths", () => {
  expect(shellExports({ A: "it's a b" })).toBe("export A='it'\\''s a b'");
});
