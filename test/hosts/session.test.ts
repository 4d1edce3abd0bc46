import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { HostConnection } from "../../plugin/host/shell.ts";
import { openSsh, type SshShell } from "../../plugin/host/ssh.ts";
import { ACCOUNT_FILE, type Machine, writeAccount } from "../support/aws-cli/machines.ts";
import { eventually } from "../support/eventually.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";

const BIN = fileURLToPath(new URL("../support/aws-cli/bin", import.meta.url));
const REGION = "eu-north-1";
const USER = "admin";

describe.skipIf(whyNoHosts() !== null)("a machine behind a session", () => {
  let lab: TestHosts;
  let folder: string;
  const open: SshShell[] = [];

  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a", "b"] });
    // Logins for which nobody left a key: what is there is what was sent.
    for (const host of lab.hosts) {
      await host.run("rm /etc/ssh/lab_keys");
      await host.run(`install -d -o ${USER} -m 700 /home/${USER}/.ssh`);
    }
  });
  afterAll(async () => {
    await lab?.close();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "session-"));
    vi.stubEnv("PATH", `${BIN}${delimiter}${process.env.PATH}`);
    vi.stubEnv("OPENCLAW_FLEET_NODE", process.execPath);
    vi.stubEnv("XDG_DATA_HOME", folder);
    vi.stubEnv(ACCOUNT_FILE, join(folder, "account.json"));
    account({});
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Machine `i-a` is host a, `i-b` is host b. */
  function account(change: Partial<Machine>): void {
    const machines = lab.hosts.map(({ name, address, pid }): [string, Machine] => {
      const authorizedKeys = `/proc/${pid}/root/home/${USER}/.ssh/authorized_keys`;
      return [`i-${name}`, { address, port: 22, users: [USER], authorizedKeys, ...change }];
    });
    const made = { region: REGION, machines: Object.fromEntries(machines) };
    writeAccount(join(folder, "account.json"), made);
  }
  const at = (instanceId: string, change: Partial<HostConnection> = {}): HostConnection => ({
    // Nobody has it: what is called is the machine.
    ...{ name: "a", address: "192.0.2.7", user: USER },
    ...{ session: { instanceId, region: REGION }, ...change },
  });
  const shell = (...given: Parameters<typeof openSsh>) => {
    const made = openSsh(...given);
    open.push(made);
    return made;
  };

  test("runs commands as root, takes files, and shows the machine's own key", async () => {
    const a = shell(at("i-a"));
    expect((await a.exec(["id", "-un"])).stdout).toBe("root\n");
    const bytes = Buffer.alloc(3_000_000, "abc\u0000");
    await a.put(
      (async function* () {
        yield bytes;
      })(),
      "/root/file",
      "0640",
    );
    const { stdout } = await lab.host("a").run(["stat", "-c", "%s %a %U", "/root/file"]);
    expect(stdout).toBe("3000000 640 root\n");
    expect(await a.hostKey()).toBe(lab.host("a").hostKey);
  });

  test("is the one that is named, whatever its address was known for", async () => {
    const first = await shell(at("i-a")).hostKey();
    const [a, b] = [shell(at("i-a", { hostKey: first })), shell(at("i-b"))];
    const names = await Promise.all([a, b].map((each) => each.exec(["hostname"])));
    expect(names.map(({ stdout }) => stdout.trim())).toEqual(["a", "b"]);
    const swapped = shell(at("i-b", { hostKey: first }));
    await expect(swapped.exec(["true"])).rejects.toThrow(/is not the host that was known/);
  });

  test("is waited for while it boots, by those who want that", async () => {
    account({ online: false });
    const away = /host a: i-a is not online in AWS Systems Manager/;
    await expect(shell(at("i-a")).exec(["true"])).rejects.toThrow(away);
    const say = vi.fn(() => account({}));
    const patient = shell(at("i-a"), { bootMs: 120_000, say });
    expect((await patient.exec(["echo", "here"])).stdout).toBe("here\n");
    expect(say).toHaveBeenCalledWith(
      "waiting for the machine: i-a is not online in AWS Systems Manager",
    );
  });

  test("is left without a process, and not waited for by nobody", async () => {
    const a = shell(at("i-a"));
    await a.exec(["true"]);
    expect(sessions("i-a")).not.toEqual([]);
    await a.close();
    await eventually(async () => expect(sessions("i-a")).toEqual([]));
    account({ online: false });
    const said = Promise.withResolvers<void>();
    const waiting = shell(at("i-a"), { bootMs: 600_000, say: () => said.resolve() });
    const run = waiting.exec(["true"]).catch((error: Error) => error.message);
    await said.promise;
    await waiting.close();
    expect(await run).toMatch(/not online/);
  });

  test("needs programs, and says where they are had", async () => {
    vi.stubEnv("PATH", folder);
    await expect(shell(at("i-a")).exec(["true"])).rejects.toThrow(
      /^host a: not on PATH: aws, session-manager-plugin\n {2}why: .*\n {2}do: {2}install the AWS CLI/,
    );
  });

  /** Processes of this account's sessions to a machine. */
  const sessions = (id: string): string[] =>
    readdirSync("/proc").filter((pid) => {
      try {
        const [argv, env] = ["cmdline", "environ"].map((file) =>
          readFileSync(`/proc/${pid}/${file}`, "latin1"),
        ) as [string, string];
        return argv.includes(`\0${id}\0`) && env.includes(folder);
      } catch {
        return false;
      }
    });
});
