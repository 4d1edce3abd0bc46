import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { firstSettings } from "../../cli/lib/first-settings.ts";
import { settingsOf } from "../../cli/lib/stack-settings.ts";
import { settingsFile } from "../../cli/pulumi.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

const STACK = `t-init-${process.pid}`;
const FILE = settingsFile(STACK);

afterEach(() => rmSync(FILE, { force: true }));

const init = (...args: string[]) =>
  spawnSync(
    process.execPath,
    [join(PROJECT_ROOT, "cli", "main.ts"), "init", "--stack", STACK, ...args],
    {
      encoding: "utf8",
      input: "",
    },
  );

const settings = () => settingsOf(readFileSync(FILE, "utf8"), "file", { lenient: true });

test("without options the file says what the defaults are", () => {
  expect(init().status).toBe(0);
  expect(settings()).toEqual(settingsOf("", "none"));
});

test("every answer is an option, and the key is named, never written", () => {
  const options = ["--preset", "medium", "--nodes", "3", "--shards", "4", "--port", "19000"];
  const { status, stderr } = init(...options, "--models", "some-llm/big", "--key-env", "MY_KEY");
  expect(status).toBe(0);
  expect(stderr).toContain("export MY_KEY=");
  expect(stderr).toContain("config set --secret");
  expect(readFileSync(FILE, "utf8")).toContain("apiKey: env:MY_KEY");
  expect(settings()).toMatchObject({
    preset: "medium",
    nodes: 3,
    shards: 4,
    port: 19000,
    models: { primary: "some-llm/big" },
  });
});

test("a server of one's own comes with its address and model", () => {
  const text = firstSettings({ models: "my.llm/a:b", baseUrl: "http://10.0.0.1:8000/v1" });
  expect(settingsOf(text, "file", { lenient: true }).models).toMatchObject({
    primary: "my.llm/a:b",
    providers: {
      "my.llm": {
        apiKey: expect.any(String),
        baseUrl: "http://10.0.0.1:8000/v1",
        models: [{ id: "a:b", name: "a:b" }],
      },
    },
  });
});

test("a file that is there is kept unless told, and keeps the stack's salt even then", () => {
  writeFileSync(FILE, "config: {}\nencryptionsalt: v1:abc\n");
  const refused = init("--yes");
  expect(refused.status).toBe(2);
  expect(refused.stderr).toContain("--force");
  expect(readFileSync(FILE, "utf8")).toContain("config: {}");
  expect(init("--yes", "--force").status).toBe(0);
  expect(readFileSync(FILE, "utf8")).toContain("encryptionsalt: v1:abc");
  expect(settings().target).toBe("local");
});

test.each([
  ["numbers that no fleet can have", ["--preset", "solo", "--nodes", "3"], 1],
  ["a model without a provider", ["--models", "gpt"], 2],
  ["a key instead of its variable", ["--models", "a/b", "--key-env", "sk-123"], 2],
  ["a key for the demo model", ["--key-env", "KEY"], 2],
  ["a preset that is none", ["--preset", "smal"], 2],
])("%s: nothing is written", (_, args, code) => {
  expect(init(...args).status).toBe(code);
  expect(existsSync(FILE)).toBe(false);
});
