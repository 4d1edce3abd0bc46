import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { endOf } from "../../../plugin/host/child.ts";
import { sessionKey } from "../../../plugin/host/session-key.ts";
import type { HostConnection } from "../../../plugin/host/shell.ts";
import { sshError } from "../../../plugin/host/ssh-errors.ts";
import { SshFiles } from "../../../plugin/host/ssh-files.ts";
import { masterOptions } from "../../../plugin/host/ssh-options.ts";
import { ACCOUNT_FILE, type Account, writeAccount } from "../../support/aws-cli/machines.ts";
import { TestSshd } from "../../support/sshd.ts";

/** OpenSSH's client through session-proxy.ts and the stand-in for the AWS CLI to a real sshd. */

const BIN = fileURLToPath(new URL("../../support/aws-cli/bin", import.meta.url));
const ID = "i-0123456789abcdef0";
// Blanks, quotes and per cent signs in a path must reach the proxy as they are.
const FOLDER = mkdtempSync(join(tmpdir(), "session 100%'s "));
const FILE = join(FOLDER, "account.json");

let sshd: TestSshd;
let key: string;
let files: SshFiles;
beforeAll(async () => {
  sshd = await TestSshd.start();
  key = await sessionKey(join(FOLDER, "key"));
});
afterAll(async () => {
  await sshd.remove();
  rmSync(FOLDER, { recursive: true, force: true });
});
beforeEach(() => {
  files = new SshFiles();
  account();
  return () => files.remove();
});

function account(change: Partial<Account> = {}, machine: object = {}): void {
  const { port, user, base } = sshd;
  const authorizedKeys = join(base, "authorized");
  const made = { address: "127.0.0.1", port, users: [user], authorizedKeys, ...machine };
  writeAccount(FILE, { region: "eu-north-1", machines: { [ID]: made }, ...change });
}

const host = (change: Partial<HostConnection> = {}): HostConnection => ({
  name: "a",
  address: "192.0.2.7",
  user: sshd.user,
  session: { instanceId: ID, region: "eu-north-1" },
  ...change,
});

/** Opens the session's SFTP and ends it: 0 when it was let in. */
async function reach(connection = host(), path = `${BIN}${delimiter}${process.env.PATH}`) {
  files.expect(connection);
  const options = masterOptions(connection, files, { knownHosts: [], sessionKey: key });
  const child = spawn("ssh", [...options, "-s", connection.address, "sftp"], {
    env: {
      ...process.env,
      PATH: path,
      OPENCLAW_FLEET_NODE: process.execPath,
      [ACCOUNT_FILE]: FILE,
      LC_ALL: "C",
    },
    stdio: ["pipe", "ignore", "pipe"],
  });
  child.stdin.on("error", () => {});
  child.stdin.end();
  const [code, stderr] = await Promise.all([endOf(child), text(child.stderr)]);
  const failure = { connection, stderr, seen: files.seenKey(), user: sshd.user, port: "22" };
  return { code, stderr, error: sshError({ ...failure, jumps: false }) };
}

test("a machine is entered by its id, with a key that nobody put there, and its own key is seen", async () => {
  const { code, stderr } = await reach();
  expect([code, stderr]).toEqual([0, ""]);
  const shown = readFileSync(join(sshd.base, "host.pub"), "utf8");
  expect(shown).toContain(files.seenKey());
  expect(files.seenKey()).not.toBe("");
  const pinned = await reach(host({ hostKey: files.seenKey() }));
  expect(pinned.code).toBe(0);
});

test("the key is this machine's alone, and stays the same", async () => {
  expect(statSync(key).mode & 0o777).toBe(0o600);
  const others = await Promise.all([1, 2, 3].map(() => sessionKey(join(FOLDER, "other"))));
  expect(new Set(others.map((path) => readFileSync(path, "utf8"))).size).toBe(1);
  expect(await sessionKey(join(FOLDER, "key"))).toBe(key);
});

test("another host key than the recorded one is refused, with a way out that a machine has", async () => {
  const other = readFileSync(`${key}.pub`, "utf8").trim();
  const { code, error } = await reach(host({ hostKey: other }));
  expect(code).toBe(255);
  expect(error.message).toMatch(/is not the host that was known[\s\S]*exchange the machine/);
  expect(error.passes).toBe(false);
});

test.each([
  [
    "a machine that is not there",
    () => account({ machines: {} }),
    /no machine i-0123456789abcdef0 in eu-north-1[\s\S]*\.\/fleet refresh/,
    false,
  ],
  [
    "a machine that boots",
    () => account({}, { online: false }),
    /is not online in AWS Systems Manager\n.*TargetNotConnected[\s\S]*get-console-output/,
    true,
  ],
  ["a machine that is off", () => account({}, { state: "stopped" }), /does not run/, true],
  [
    "no right to send a key",
    () => account({ denied: ["ec2-instance-connect:SendSSHPublicKey"] }),
    /AWS refused SendSSHPublicKey[\s\S]*have ec2-instance-connect:SendSSHPublicKey on the machine/,
    false,
  ],
  [
    "no right to a session",
    () => account({ denied: ["ssm:StartSession"] }),
    /AWS refused StartSession[\s\S]*have ssm:StartSession on the machine and on document AWS-StartSSHSession/,
    false,
  ],
  [
    "a key that was sent too long ago",
    () => account({ keySeconds: -1 }),
    /refused user .*\n.*Permission denied[\s\S]*package ec2-instance-connect/,
    true,
  ],
] as const)("%s is told, with what to do", async (_, prepare, words, passes) => {
  prepare();
  const { code, error } = await reach();
  expect(code).toBe(255);
  expect(error.message).toMatch(words);
  expect(error.message).toMatch(/^host a: .*\n {2}why: .+\n {2}do: {2}.+$/s);
  expect(error.passes).toBe(passes);
});
