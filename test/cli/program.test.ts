import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "fleet-program-"));
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

const fleet = (...args: string[]) =>
  spawnSync(process.execPath, [join(PROJECT_ROOT, "cli", "main.ts"), ...args], {
    encoding: "utf8",
    input: "",
    env: {
      PATH: process.env.PATH,
      HOME: home,
      XDG_CACHE_HOME: join(home, "cache"),
      XDG_DATA_HOME: join(home, "data"),
    },
  });

const COMMANDS = readdirSync(join(PROJECT_ROOT, "cli", "commands"))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3));

test("help names every command, in groups, on stdout", () => {
  for (const args of [[], ["--help"], ["help"]]) {
    const { status, stdout } = fleet(...args);
    expect(status).toBe(0);
    for (const name of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, "m"));
    for (const heading of ["Look:", "Change:"]) expect(stdout).toContain(heading);
  }
});

describe("help of a command has two examples and does nothing", () => {
  test.each(COMMANDS.filter((name) => name !== "pulumi"))("%s", (name) => {
    const { status, stdout, stderr } = fleet(name, "--help");
    expect(status).toBe(0);
    expect(stderr).toBe("");
    expect(stdout.split("Examples:")[1]?.match(/\.\/fleet /g)?.length).toBeGreaterThanOrEqual(2);
    if (name !== "pulumi") expect(stdout).toMatch(/^ +-s, --stack <name> +\S/m);
    expect(existsSync(join(home, "data"))).toBe(false);
  });
});

test.each([
  ["an unknown command", ["stauts"], /unknown command.*\n.*status/],
  ["an unknown option", ["status", "--jsno"], /--json/],
  ["help taken for a value", ["status", "--stack", "--help"], /--stack wants a value/],
  ["a question that nobody can answer", ["up"], /add --yes/],
  ["destroying unasked", ["destroy"], /add --yes/],
  ["a name that is no stack", ["destroy", "--stack", "../x", "--yes"], /no name for a stack/],
  ["the name that Pulumi's state has", ["up", "--stack", "pulumi", "--yes"], /no name for a stack/],
  ["a part of the tests that is none", ["test", "nothing"], /no part of the tests/],
])("%s is wrong usage", (_, args, message) => {
  const { status, stdout, stderr } = fleet(...args);
  expect(status).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toMatch(message);
  expect(existsSync(join(home, "data"))).toBe(false);
});

test.each([
  ["docs", ["docs", "--stack", "prod", "users"], 0, /^users /m],
  ["drill", ["drill", "--stack", "prod", "--fault", "none"], 2, /no fault of this name/],
  ["test", ["test", "--stack", "prod", "nothing", "-t", "x"], 2, /nothing is no part of the tests/],
  ["env", ["env", "--stack", "../x"], 2, /no name for a stack/],
  ["bootstrap", ["bootstrap", "aws", "--stack", "prod"], 2, /needs --account and --region/],
  ["github", ["github", "--stack", "prod", "issue", "--title", "x"], 2, /needs --file/],
  ["github issue", ["github", "issue", "-s", "prod", "--title", "x"], 2, /needs --file/],
  ["release", ["release", "v0.0.0", "--stack", "prod"], 1, /0\.0\.0/],
])("%s takes --stack as all do, where it works on none", (_, args, code, said) => {
  const { status, stdout, stderr } = fleet(...args);
  expect(`${stdout}${stderr}`).toMatch(said);
  expect(status).toBe(code);
});
