import { execFileSync } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sshError } from "../../../plugin/host/ssh-errors.ts";
import { SshFiles } from "../../../plugin/host/ssh-files.ts";
import { makeSshKey } from "../../../plugin/host/ssh-key.ts";
import {
  expandHome,
  isHostKey,
  masterOptions,
  quoteArgv,
  sessionOptions,
} from "../../../plugin/host/ssh-options.ts";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";

const host = { name: "a", address: "203.0.113.5" };
const KEY = makeSshKey().pub;

describe("options of ssh", () => {
  const files = new SshFiles();
  files.remove();
  const options = (change: object) =>
    masterOptions({ ...host, ...change }, files, {
      configFile: undefined,
      knownHosts: ["/k 1", "/k2"],
    });
  const value = (all: readonly string[], name: string) =>
    all.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);

  test("a host that was never seen may be new, but not another than the user knows", () => {
    const all = options({});
    expect(value(all, "StrictHostKeyChecking")).toBe("accept-new");
    expect(value(all, "UserKnownHostsFile")).toBe(`"${files.known}" "/k 1" "/k2"`);
    expect(value(all, "HostKeyAlias")).toBeUndefined();
  });

  test("with a key recorded, only that one counts", () => {
    const all = options({ hostKey: KEY });
    expect(value(all, "StrictHostKeyChecking")).toBe("yes");
    expect(value(all, "UserKnownHostsFile")).toBe(`"${files.known}"`);
    expect(value(all, "GlobalKnownHostsFile")).toBe("/dev/null");
    expect(value(all, "HostKeyAlias")).toBe("openclaw-fleet-host");
  });

  test("nothing asks, and nothing but commands is opened", () => {
    const all = options({});
    for (const [name, set] of [
      ["BatchMode", "yes"],
      ["RequestTTY", "no"],
      ["ForwardAgent", "no"],
      ["ForwardX11", "no"],
      ["ClearAllForwardings", "yes"],
      ["PermitLocalCommand", "no"],
    ]) {
      expect(value(all, name as string), name).toBe(set);
    }
  });

  test("what the settings leave out is left to ssh", () => {
    expect(options({}).filter((one) => /^-[lpJiF]$/.test(one))).toEqual([]);
    const given = options({ user: "u", port: 2222, jump: "j@g:1", identityFile: "~/.ssh/k" });
    expect(given.slice(0, 8)).toEqual([
      ...["-l", "u", "-p", "2222", "-J", "j@g:1", "-o"],
      `IdentityFile="${join(homedir(), ".ssh/k")}"`,
    ]);
    expect(value(given, "IdentitiesOnly")).toBe("yes");
  });

  test("a command never makes a connection of its own", () => {
    expect(sessionOptions(files)).toContain("ProxyCommand=false");
    expect(sessionOptions(files).slice(0, 4)).toEqual(["-F", "none", "-S", files.socket]);
  });

  test("paths begin at home or where the settings are", () => {
    expect(expandHome("~/a")).toBe(join(homedir(), "a"));
    expect(expandHome("/a/b")).toBe("/a/b");
    expect(expandHome("keys/b")).toBe(join(PROJECT_ROOT, "keys/b"));
  });

  test("any arguments come back from a shell as they went in", () => {
    const word = fc.string({ unit: "grapheme", maxLength: 20 }).filter((s) => !s.includes("\0"));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
        const script = `printf '%s\\0' ${quoteArgv(words)}`;
        const back = execFileSync("sh", ["-c", script]).toString().split("\0").slice(0, -1);
        expect(back).toEqual(words);
      }),
      { numRuns: 40 },
    );
  });

  test.each([
    [KEY, true],
    [`${KEY} root@a`, true],
    [`ssh-ed25519 ${"A".repeat(68)}`, true],
    [`sk-ssh-ed25519@openssh.com ${"A".repeat(68)}`, true],
    ["SHA256:abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq", false],
    [`a.example ${KEY}`, false],
    ["", false],
    [`ssh-ed25519 ${"A".repeat(68)}\nother ${"A".repeat(68)}`, false],
  ])("%s is a host key: %s", (text, is) => {
    expect(isHostKey(text)).toBe(is);
  });
});

describe("what ssh says becomes what to do", () => {
  const said = (stderr: string, change: object = {}, more: object = {}) =>
    sshError({
      connection: { ...host, ...change },
      stderr,
      ...{ seen: "", user: "root", port: "22", jumps: false },
      ...more,
    }).message;

  test.each([
    [
      "root@203.0.113.5: Permission denied (publickey).",
      /refused user root\n {2}why: .*publickey[\s\S]*authorized_keys/,
    ],
    ["ssh: Could not resolve hostname x: Name or service not known", /the name 203.0.113.5 is not/],
    ["ssh: connect to host x port 22: Connection timed out", /cannot be reached[\s\S]*timed out/],
    ["", /cannot be reached\n {2}why: it did not answer in time/],
    [
      "@@@@\n@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\n@@@@\nPermissions 0644 for 'k' are too open.\nroot@x: Permission denied",
      /chmod 600/,
    ],
    ["Received disconnect from x: Too many authentication failures", /IdentitiesOnly/],
  ])("%s", (stderr, words) => {
    expect(said(stderr)).toMatch(words);
    expect(said(stderr)).toMatch(/^host a: .*\n {2}why: .+\n {2}do: {2}.+$/s);
  });

  test("another key than recorded names both fingerprints, as ssh shows them", () => {
    // As `ssh-keygen -lf` prints it.
    const seen = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPj8hsIpu5JfyBAprYwSdjCoEA7zqhGY7iKr0illvsNH";
    const text = said("Host key verification failed.", { hostKey: KEY }, { seen });
    expect(text).toContain(
      "its key is ssh-ed25519 SHA256:zIyd2DzxytldpjR46ERc84bq39dwTloOGhbo7Pdzkds, expected ecdsa-sha2-nistp256 SHA256:",
    );
  });

  test.each([
    ["~/.ssh/k", "-i ~/.ssh/k 203", "chmod 600 ~/.ssh/k"],
    ["/keys of us/k", "-i '/keys of us/k' 203", "chmod 600 '/keys of us/k'"],
    ["/k%d/k", `-o 'IdentityFile="/k%%d/k"' 203`, "chmod 600 '/k%d/k'"],
  ])("the key file %s is named as a shell and ssh take it", (identityFile, login, chmod) => {
    expect(said("Permission denied (publickey).", { identityFile })).toContain(login);
    const open = "WARNING: UNPROTECTED PRIVATE KEY FILE!";
    expect(said(open, { identityFile })).toContain(chmod);
  });

  test("a failure before the host showed its key is the jump host's", () => {
    const text = said("Host key verification failed.", { jump: "gate" }, { jumps: true });
    expect(text).toMatch(/its jump host is not known/);
  });
});
