import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { firstSettings } from "../../cli/lib/first-settings.ts";
import { settingsOf } from "../../cli/lib/stack-settings.ts";
import { settingsFile } from "../../cli/pulumi.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

const STACK = `t-i${process.pid}`;
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

const AWS = ["--account", "210987654321", "--region", "eu-central-1"];
const DOMAIN = ["--domain", "chat.example.org"];
const CLUSTER = [
  "--admin",
  "arn:aws:iam::210987654321:role/deploy,arn:aws:iam::210987654321:user/ann",
  ...["--allow", "203.0.113.7/32", "--allow", "198.51.100.0/24"],
];

test("a stack on eks says where, for whom and at which price, in a few lines with their meaning", () => {
  const { status, stdout, stderr } = init(
    ...["--target", "eks", ...AWS, ...DOMAIN, ...CLUSTER],
    ...["--environment", "staging", "--preset", "small", "--budget", "5000"],
  );
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stdout).toMatch(/3 nodes, \d+ shards, [\d.]+ GiB each, \d+ US dollars a month/);
  expect(stderr).toContain(`./fleet doctor --stack ${STACK}`);
  const text = readFileSync(FILE, "utf8");
  expect(text.split("\n").length).toBeLessThan(25);
  expect(text).toContain('accountId: "210987654321" # every other account is refused');
  expect(settings()).toMatchObject({
    target: "eks",
    environment: "staging",
    preset: "small",
    domain: "chat.example.org",
    budgetMonthlyUsd: 5000,
    aws: { region: "eu-central-1", accountId: "210987654321" },
    cluster: {
      access: { allowlist: ["203.0.113.7/32", "198.51.100.0/24"] },
      admins: ["arn:aws:iam::210987654321:role/deploy", "arn:aws:iam::210987654321:user/ann"],
    },
  });
});

test("a cluster may be private, and hosts may be one's own", () => {
  const { status, stderr } = init(
    ...["--target", "eks", ...AWS, ...DOMAIN, "--allow", "private"],
    ...["--admin", "arn:aws:iam::210987654321:role/deploy", "--environment", "dev"],
  );
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(settings().cluster.access).toBe("private");
  const hosts = ["--host", "root@192.0.2.11", "--host", "ops@192.0.2.12,192.0.2.13"];
  expect(init("--force", "--target", "hosts", ...hosts, "--host-price", "12.5").status).toBe(0);
  expect(settings()).toMatchObject({
    target: "hosts",
    hosts: [
      { name: "a", address: "192.0.2.11", user: "root" },
      { name: "b", address: "192.0.2.12", user: "ops" },
      { name: "c", address: "192.0.2.13", user: "root" },
    ],
    sizes: { hostMonthlyUsd: 12.5 },
  });
});

test("a sample is nobody's, so that it is written anew unasked", () => {
  writeFileSync(FILE, "# Sample: nobody's account.\nconfig: {}\n");
  expect(init("--target", "ec2", ...AWS, ...DOMAIN, "--preset", "small").status).toBe(0);
  expect(settings().aws?.accountId).toBe("210987654321");
});

test("who encrypts the file's secrets is kept when it is written anew", () => {
  const provider = "awskms://alias/openclaw-fleet-state?region=eu-central-1";
  expect(init("--secrets-provider", provider).status).toBe(0);
  writeFileSync(FILE, `${readFileSync(FILE, "utf8")}encryptedkey: AQI=\n`);
  expect(init("--force").status).toBe(0);
  const text = readFileSync(FILE, "utf8");
  expect(text).toContain(`secretsprovider: ${provider}\n`);
  expect(text).toContain("encryptedkey: AQI=\n");
});

test.each([
  [
    "no account, without a terminal",
    ["--target", "ec2", "--region", "eu-central-1"],
    2,
    "--account",
  ],
  ["no way to the cluster", ["--target", "eks", ...AWS], 2, "--admin, --allow"],
  ["an account on this machine", [...AWS], 2, "--account is for --target ec2 or eks"],
  ["eleven digits", ["--target", "ec2", "--account", "21098765432"], 2, "twelve digits"],
  ["a region that is none", ["--target", "ec2", "--region", "frankfurt"], 2, "eu-central-1"],
  [
    "both private and open",
    ["--target", "eks", ...AWS, ...CLUSTER, "--allow", "private"],
    2,
    "stands alone",
  ],
  [
    "a budget below the plan's cost in prod",
    ["--target", "ec2", ...AWS, ...DOMAIN, "--environment", "prod", "--budget", "1"],
    1,
    "budgetMonthlyUsd",
  ],
  [
    "a budget below the plan's cost elsewhere, which `up` would refuse too",
    ["--target", "ec2", ...AWS, ...DOMAIN, "--environment", "dev", "--budget", "1"],
    1,
    "budgetMonthlyUsd is 1, and the plan costs",
  ],
  ["no name for TLS in prod", ["--target", "ec2", ...AWS, "--environment", "prod"], 1, "domain"],
  [
    "the whole internet at the cluster's door",
    [
      ...["--target", "eks", ...AWS, ...DOMAIN, "--allow", "0.0.0.0/0"],
      ...["--admin", "arn:aws:iam::210987654321:role/deploy"],
    ],
    1,
    "cluster.access.allowlist",
  ],
])("on AWS %s: nothing is written", (_, args, code, said) => {
  const { status, stderr } = init(...args, "--preset", "medium");
  expect({ status, stderr }).toMatchObject({ status: code });
  expect(stderr.replaceAll(/\s+/g, " ")).toContain(said);
  expect(existsSync(FILE)).toBe(false);
});

test("what `up` would refuse of hosts is refused before a line is written", () => {
  const { status, stderr } = init(
    ...["--target", "hosts", "--host", "root@192.0.2.11", "--preset", "solo"],
    ...["--environment", "prod"],
  );
  expect(status).toBe(1);
  expect(stderr).toContain("domain is missing");
  expect(existsSync(FILE)).toBe(false);
});
