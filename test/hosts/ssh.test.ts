import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HostUnreachable } from "../../plugin/host/shell.ts";
import { openSsh, type SshShell } from "../../plugin/host/ssh.ts";
import { makeSshKey } from "../../plugin/host/ssh-key.ts";
import { eventually } from "../support/eventually.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";

describe.skipIf(whyNoHosts() !== null)("a host over SSH", () => {
  let lab: TestHosts;
  let folder: string;
  let configFile: string;
  const open: SshShell[] = [];

  /** A shell that ends with its test. No configuration or known host of this machine's user counts. */
  const shell = (given: Parameters<typeof openSsh>[0], options = {}) => {
    const made = openSsh(given, { configFile, ...options });
    open.push(made);
    return made;
  };
  const failure = async (work: Promise<unknown>): Promise<string> => {
    const error: unknown = await work.then(
      () => new Error("it worked"),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(HostUnreachable);
    return (error as Error).message;
  };

  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a", "b"] });
    folder = mkdtempSync(join(tmpdir(), "ssh-test-"));
    configFile = join(folder, "config");
  });
  beforeEach(() => {
    writeFileSync(configFile, `UserKnownHostsFile ${folder}/known\n`);
    rmSync(join(folder, "known"), { force: true });
  });
  afterAll(async () => {
    await Promise.all(open.map((one) => one.close()));
    await lab?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("commands run as root, for root and by sudo", async () => {
    for (const user of ["root", "admin"]) {
      const { code, stdout } = await shell(lab.connection("a", user)).exec(["id", "-un"]);
      expect([code, stdout]).toEqual([0, "root\n"]);
    }
  });

  test("arguments arrive as they are, whatever is in them", async () => {
    const words = [
      "a b",
      "it's",
      '"$HOME"',
      "",
      "*",
      "\\n",
      "line\nbreak",
      "ü€",
      "-n",
      "`id`",
      ";",
    ];
    for (const user of ["root", "admin"]) {
      const { stdout } = await shell(lab.connection("a", user)).exec(["printf", "<%s>", ...words]);
      expect(stdout).toBe(words.map((word) => `<${word}>`).join(""));
    }
  });

  test("exit codes, both outputs and the number of a signal are told", async () => {
    const a = shell(lab.connection("a", "admin"));
    expect(await a.exec(["sh", "-c", "echo out; echo err >&2; exit 7"])).toEqual({
      code: 7,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect((await a.exec(["sh", "-c", "exit 255"])).code).toBe(255);
    expect((await a.exec(["sh", "-c", "kill -TERM $$"])).code).toBe(128 + 15);
    expect((await a.exec(["no-such-program"])).code).toBe(127);
  });

  test("input is given whole, and lines come as they are written", async () => {
    const a = shell(lab.connection("a", "admin"));
    const stdin = "0123456789".repeat(300_000);
    expect((await a.exec(["wc", "-c"], { stdin })).stdout.trim()).toBe(String(stdin.length));
    // A command that reads nothing is no failure.
    expect((await a.exec(["true"], { stdin })).code).toBe(0);
    const lines: string[] = [];
    await a.exec(["sh", "-c", "echo one; echo two; printf three"], {
      onLine: (line) => lines.push(line),
    });
    expect(lines).toEqual(["one", "two", "three"]);
  });

  test("secrets of the input are not in the host's list of processes", async () => {
    const a = shell(lab.connection("a", "admin"));
    const script = 'read -r word; ps -eo args; test -n "$word"';
    const { code, stdout } = await a.exec(["sh", "-c", script], {
      stdin: "hunter2-of-the-input\n",
    });
    expect(code).toBe(0);
    expect(stdout).toContain("ps -eo args");
    expect(stdout).not.toContain("hunter2-of-the-input");
  });

  test("many commands share one connection", async () => {
    const a = shell(lab.connection("a"));
    const results = await Promise.all(
      Array.from({ length: 25 }, (_, i) => a.exec(["sh", "-c", `echo ${i} $SSH_CONNECTION`])),
    );
    const seen = results.map(({ stdout }) => stdout.trim().split(" "));
    expect(seen.map(([i]) => Number(i))).toEqual(Array.from({ length: 25 }, (_, i) => i));
    expect(new Set(seen.map(([, , port]) => port)).size).toBe(1);
  });

  test("a file is put whole, with its mode, or not at all", async () => {
    const host = lab.host("a");
    const a = shell(lab.connection("a", "admin"));
    const bytes = Buffer.alloc(3_000_000, "abc\u0000");
    const chunks = async function* () {
      for (let i = 0; i < bytes.length; i += 70_000) yield bytes.subarray(i, i + 70_000);
    };
    await a.put(chunks(), "/root/it's here", "0640");
    const { stdout } = await host.run(["stat", "-c", "%s %a %U", "/root/it's here"]);
    expect(stdout).toBe("3000000 640 root\n");
    const broken = async function* () {
      yield Buffer.from("half");
      throw new Error("the source broke");
    };
    await expect(a.put(broken(), "/root/other", "0600")).rejects.toThrow("the source broke");
    expect(await host.readFile("/root/other")).toBeNull();
    // Nor what had arrived of it.
    expect((await host.run("ls -A /root")).stdout).not.toContain("openclaw-part");
    await expect(a.put(chunks(), "/no/such/folder/x", "0600")).rejects.toThrow(
      /host a: \/no\/such\/folder\/x was not written/,
    );
  });

  test("an interrupted command is not waited for", async () => {
    const a = shell(lab.connection("a"));
    const stop = new AbortController();
    const running = a.exec(["sh", "-c", "echo here; sleep 600"], {
      signal: stop.signal,
      onLine: () => stop.abort(new Error("enough")),
    });
    await expect(running).rejects.toThrow("enough");
    expect((await a.exec(["echo", "on"])).stdout).toBe("on\n");
  });

  test("a host that loses power breaks the command off, and is reached again later", async () => {
    const b = shell(lab.connection("b"));
    let off = Promise.resolve();
    const onLine = () => {
      off = lab.host("b").powerOff();
    };
    const message = failure(b.exec(["sh", "-c", "echo here; sleep 600"], { onLine }));
    // Nobody answers for the host any more: its address is given to nobody.
    expect(await message).toMatch(/host b: the connection broke off[\s\S]*do: /);
    await off;
    expect(await failure(b.exec(["true"]))).toMatch(/host b: .* cannot be reached/);
    await lab.host("b").start();
    expect((await b.exec(["echo", "back"])).stdout).toBe("back\n");
  });

  test("closing leaves no process and no file", async () => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = mkdtempSync(join(folder, "tmp-"));
    const a = openSsh(lab.connection("a"), { configFile });
    try {
      await a.exec(["true"]);
      expect(readdirSync(tmpdir())).toHaveLength(1);
      const { stdout } = await lab.host("a").run("pgrep --count sshd");
      await a.close();
      expect(readdirSync(tmpdir())).toEqual([]);
      await eventually(async () => {
        const left = await lab.host("a").run("pgrep --count sshd");
        expect(Number(left.stdout)).toBeLessThan(Number(stdout));
      });
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
    await expect(async () => a.exec(["true"])).rejects.toThrow("was closed");
  });

  test("the key seen at first sight is the host's, and is refused when it changes", async () => {
    const host = lab.host("a");
    const first = await shell(lab.connection("a")).hostKey();
    expect(first).toBe(host.hostKey);
    const pinned = { ...lab.connection("a"), hostKey: `${first} with a comment` };
    expect((await shell(pinned).exec(["true"])).code).toBe(0);
    const other = makeSshKey().pub;
    const message = await failure(shell({ ...pinned, hostKey: other }).exec(["true"]));
    expect(message).toMatch(/host a: .* is not the host that was known/);
    expect(message).toContain(`set hosts[].hostKey of a to it: ${first}`);
    expect(message).toMatch(/expected ecdsa-sha2-nistp256 SHA256:\S{43}/);
  });

  test("a key that the user's own known hosts contradict is refused", async () => {
    const { address } = lab.host("a");
    writeFileSync(join(folder, "known"), `${address} ${makeSshKey().pub}\n`);
    expect(await failure(shell(lab.connection("a")).exec(["true"]))).toMatch(
      /is not the host that this machine's known_hosts file names[\s\S]*ssh-keygen -R/,
    );
  });

  test("a Host block and a jump host of ssh's configuration are honoured", async () => {
    const [a, b] = [lab.host("a"), lab.host("b")];
    writeFileSync(
      configFile,
      `Host gate\n  HostName ${a.address}\n  User admin\nHost *\n  IdentityFile ${lab.identityFile}\n` +
        `  UserKnownHostsFile ${folder}/known\n  StrictHostKeyChecking accept-new\n`,
    );
    const named = shell({ name: "a", address: "unused.invalid", sshConfigHost: "gate" });
    expect((await named.exec(["hostname"])).stdout).toBe("a\n");
    const over = shell({ name: "b", address: b.address, user: "root", jump: "gate" });
    const { stdout } = await over.exec(["sh", "-c", "hostname; echo $SSH_CONNECTION"]);
    expect(stdout).toMatch(new RegExp(`^b\n${a.address.replaceAll(".", "\\.")} `));
    expect(await over.hostKey()).toBe(b.hostKey);
  });

  test("a jump host that nobody knows is named", async () => {
    const jump = `admin@${lab.host("a").address}`;
    expect(await failure(shell({ ...lab.connection("b"), jump }).exec(["true"]))).toMatch(
      /host b: its jump host is not known[\s\S]*log in to admin@/,
    );
  });

  test("each way of not getting in is told apart", async () => {
    const stranger = join(folder, "stranger");
    writeFileSync(stranger, makeSshKey().key, { mode: 0o600 });
    const { address, identityFile } = lab.connection("a");
    const cases: [string, Parameters<typeof openSsh>[0], RegExp][] = [
      [
        "a wrong key",
        { name: "a", address, user: "root", identityFile: stranger },
        /refused user root[\s\S]*Permission denied[\s\S]*authorized_keys/,
      ],
      [
        "a missing key file",
        { name: "a", address, identityFile: "/nowhere/key" },
        /key file \/nowhere\/key is not there/,
      ],
      [
        "an unknown name",
        { name: "a", address: "no-such-host.invalid" },
        /the name .* is not known/,
      ],
      [
        "a port where nobody listens",
        { name: "a", address, port: 2, identityFile },
        /port 2 cannot be reached[\s\S]*refused/,
      ],
      [
        "sudo with a password",
        { name: "a", address, user: "plain", identityFile },
        /sudo wants a password of user plain[\s\S]*NOPASSWD/,
      ],
      [
        "a host key that is none",
        { name: "a", address, identityFile, hostKey: "SHA256:abc" },
        /hosts\[\].hostKey is no public key: SHA256:abc/,
      ],
    ];
    for (const [what, connection, words] of cases) {
      expect(await failure(shell(connection).exec(["true"])), what).toMatch(words);
    }
  });

  test("an sshd that takes a single session is told apart", async () => {
    const host = lab.host("a");
    const limit = "/etc/ssh/sshd_config.d/20-limit.conf";
    await host.run(`echo 'MaxSessions 1' > ${limit}; systemctl reload ssh`);
    try {
      await eventually(async () => {
        const message = await failure(shell(lab.connection("a")).exec(["true"]));
        expect(message).toMatch(/host a: its sshd does not take another command[\s\S]*MaxSessions/);
      });
    } finally {
      await host.run(`rm ${limit}; systemctl reload ssh`);
    }
  });

  test("a host without a network is given up", async () => {
    await lab.host("b").cutNetwork();
    try {
      expect(await failure(shell(lab.connection("b")).exec(["true"]))).toMatch(/cannot be reached/);
    } finally {
      await lab.host("b").heal();
    }
  });
});
