import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endOf } from "../../../plugin/host/child.ts";
import { SshFiles } from "../../../plugin/host/ssh-files.ts";
import { masterOptions } from "../../../plugin/host/ssh-options.ts";
import { TestSshd } from "../../support/sshd.ts";

/** OpenSSH's client with a key whose path holds what ssh and shells give a meaning. */
const FOLDER = mkdtempSync(join(tmpdir(), "keys 100%d %Z's "));
const files = new SshFiles();

let sshd: TestSshd;
beforeAll(async () => {
  sshd = await TestSshd.start();
});
afterAll(async () => {
  await sshd.remove();
  files.remove();
  rmSync(FOLDER, { recursive: true, force: true });
});

test("the key that identityFile names is used, whatever its path is", async () => {
  const identityFile = join(FOLDER, "id");
  copyFileSync(sshd.settings.identityFile, identityFile);
  const { user, port } = sshd;
  const connection = { name: "a", address: "127.0.0.1", user, port, identityFile };
  const options = masterOptions(connection, files, { configFile: "none", knownHosts: [] });
  const child = spawn("ssh", [...options, "-s", connection.address, "sftp"], {
    env: { PATH: process.env.PATH, HOME: FOLDER },
    stdio: ["pipe", "ignore", "pipe"],
  });
  child.stdin.on("error", () => {});
  child.stdin.end();
  expect([await text(child.stderr), await endOf(child)]).toEqual(["", 0]);
});
