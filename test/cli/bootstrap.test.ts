import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { Home } from "./fixtures.ts";

/** An account of this process alone, since its settings lie in the project. */
const ACCOUNT = String(process.pid).padStart(12, "9");
const PLACE = ["--account", ACCOUNT, "--region", "eu-central-1"];
const STACK = `aws-${ACCOUNT}-eu-central-1`;
const FILE = join(PROJECT_ROOT, "bootstrap", `Pulumi.${STACK}.yaml`);
const BUCKET = `s3://openclaw-fleet-state-${ACCOUNT}-eu-central-1?region=eu-central-1&awssdk=v2`;

/** Pulumi with backends as files: the bucket's is there once an \`up\` has made the bucket. */
const PULUMI = `
const fs = require("node:fs");
const path = require("node:path");
const args = process.argv.slice(2).filter((arg) => arg !== "--non-interactive");
const url = process.env.PULUMI_BACKEND_URL ?? "";
const value = (name) => args[args.indexOf(name) + 1];
const file = path.join(process.env.HOME, Buffer.from(url).toString("hex").slice(-60) + ".json");
const bucket = path.join(process.env.HOME, "bucket");
fs.appendFileSync(path.join(process.env.HOME, "calls"), (url.startsWith("s3") ? "s3 " : "file ") + args.join(" ") + "\\n");
if (args[0] === "version") { console.log("v3.259.0"); process.exit(0); }
if (args[0] === "plugin") { console.log(JSON.stringify(args[1] === "ls" ? [] : {})); process.exit(0); }
if (process.env.PULUMI_CONFIG_PASSPHRASE !== "" || process.env.PULUMI_CONFIG_PASSPHRASE_FILE) process.exit(7);
if (url.startsWith("s3") && !fs.existsSync(bucket)) process.exit(255);
const stacks = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : {};
const save = () => fs.writeFileSync(file, JSON.stringify(stacks));
const command = args.filter((arg, i) => !arg.startsWith("-") && args[i - 1] !== "--cwd");
switch (command.slice(0, 2).join(" ")) {
  case "stack ls": console.log(JSON.stringify(Object.keys(stacks).map((name) => ({ name })))); break;
  case "stack init": stacks[command[2]] = {}; save(); break;
  case "stack export": fs.writeFileSync(value("--file"), JSON.stringify(stacks[value("--stack")])); break;
  case "stack import":
    if (process.env.NO_IMPORT) process.exit(1);
    stacks[value("--stack")] = JSON.parse(fs.readFileSync(value("--file")));
    save();
    break;
  case "stack rm": delete stacks[command[2]]; save(); break;
  case "stack output": console.log(JSON.stringify(stacks[value("--stack")])); break;
  case "config refresh":
    fs.writeFileSync(process.env.SETTINGS, stacks[value("--stack")].config);
    break;
  default:
    if (command[0] !== "up") process.exit(3);
    if (process.env.NO_UP) process.exit(1);
    fs.writeFileSync(bucket, "");
    stacks[value("--stack")] = {
      config: fs.readFileSync(process.env.SETTINGS, "utf8"),
      deployRoleArn: "arn:aws:iam::1:role/openclaw-fleet-deploy",
      boundaryArn: "arn:aws:iam::1:policy/b",
    };
    save();
}`;

let home: Home;
beforeEach(() => {
  home = new Home();
  home.program("pulumi", PULUMI);
  home.program("pulumi-resource-aws", "");
});
afterEach(() => {
  home.remove();
  rmSync(FILE, { force: true });
});

const bootstrap = (args: string[], env: Record<string, string> = {}) =>
  home.run(["bootstrap", "aws", ...args], { SETTINGS: FILE, ...env });
const calls = () => readFileSync(join(home.path, "calls"), "utf8");
const config = () => parse(readFileSync(FILE, "utf8")).config as Record<string, unknown>;

describe("./fleet bootstrap aws", () => {
  test("makes things, moves their state into the bucket they made, and says what comes next", async () => {
    const { code, stdout, stderr } = await bootstrap([
      ...PLACE,
      "--repository",
      "ann/fleet",
      "--yes",
    ]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`export PULUMI_BACKEND_URL='${BUCKET}'`);
    expect(stdout).toContain(
      "--secrets-provider 'awskms://alias/openclaw-fleet-state?region=eu-central-1'",
    );
    expect(stdout).toContain("arn:aws:iam::1:role/openclaw-fleet-deploy");
    expect(config()).toEqual({
      "openclaw-fleet-bootstrap:accountId": ACCOUNT,
      "openclaw-fleet-bootstrap:region": "eu-central-1",
      "openclaw-fleet-bootstrap:repositories": ["ann/fleet"],
    });
    expect(calls()).toContain(`s3 stack import --stack ${STACK}`);
  });

  test("run again goes on in the bucket, and what no option names stays as it was", async () => {
    await bootstrap([...PLACE, "--repository", "ann/fleet", "--yes"]);
    // Another machine: the settings are not there either.
    rmSync(FILE);
    const { code, stderr } = await bootstrap([...PLACE, "--environment", "prod", "--yes"]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(config()).toMatchObject({
      "openclaw-fleet-bootstrap:repositories": ["ann/fleet"],
      "openclaw-fleet-bootstrap:environments": ["prod"],
    });
    expect(calls().match(/file .*up/g)).toHaveLength(1);
    expect(calls().match(/s3 .*up/g)).toHaveLength(1);
  });

  test("that was cut short goes on with the state on this machine", async () => {
    const cut = await bootstrap([...PLACE, "--yes"], { NO_IMPORT: "1" });
    expect(cut.code).toBe(1);
    expect(cut.stderr).toContain("run the same command again");
    // The stack in the bucket exists and is empty: it must not be taken for the made one.
    const again = await bootstrap([...PLACE, "--yes"]);
    expect({ code: again.code, stderr: again.stderr }).toMatchObject({ code: 0 });
    expect(calls().match(/file .*up/g)).toHaveLength(2);
  });

  test("that Pulumi could not finish fails, with the way on", async () => {
    const { code, stdout, stderr } = await bootstrap([...PLACE, "--yes"], { NO_UP: "1" });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("--existing-github");
  });

  test.each([
    ["no account", ["--region", "eu-central-1", "--yes"], /--account and --region/],
    ["nobody to ask", PLACE, /--yes/],
    ["a repository for everybody", [...PLACE, "--repository", "ann/*", "--yes"], /owner\/name/],
    ["any branch", [...PLACE, "--branch", "*", "--yes"], /without wildcards/],
  ])("%s is wrong usage, and nothing is begun", async (_, args, said) => {
    const { code, stdout, stderr } = await bootstrap(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(said);
    expect(existsSync(FILE)).toBe(false);
  });

  test("another cloud is wrong usage", async () => {
    expect((await home.run(["bootstrap", "moon"])).code).toBe(2);
  });
});
