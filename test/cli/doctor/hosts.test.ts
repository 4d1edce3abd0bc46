import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect, test } from "vitest";
import { hostChecks, LOOK_SCRIPT, parseLook } from "../../../cli/doctor/hosts.ts";
import { HostUnreachable, type OpenShell } from "../../../plugin/host/shell.ts";

const HOSTS = ["a", "b", "c"].map((name, i) => ({ name, address: `192.0.2.${i + 1}` }));

/** What a host says: of itself, then of its units; never: it does not answer at all. */
interface Said {
  readonly survey?: string;
  readonly units?: string;
  readonly away?: string;
  readonly silent?: boolean;
}

const survey = (node: string, { aheadSeconds = 0, freeKiB = 40_000_000 } = {}) =>
  [
    `time ${Date.now() / 1_000 + aheadSeconds}`,
    "ID debian",
    "VERSION_ID 12",
    `disk /opt/openclaw-fleet /dev/sda1 ${freeKiB}`,
    `disk /var/lib/openclaw-fleet /dev/sda1 ${freeKiB}`,
    `record {"fleet":"team","node":"${node}"}`,
    "",
  ].join("\n");
const UNITS =
  "unit openclaw-fleet-node.service active\nunit openclaw-fleet-nginx.service reloading\netcd ok\n";

const opens = (hosts: Record<string, Said>, closed: string[] = []): OpenShell => {
  return ({ name }) => {
    const { survey: itself = survey(name), units = UNITS, away, silent } = hosts[name] ?? {};
    return {
      async exec(_argv, { stdin, signal, onLine } = {}) {
        if (away !== undefined) throw new HostUnreachable(away);
        if (silent) {
          return await new Promise((_, reject) => {
            signal?.addEventListener("abort", () => reject(signal.reason));
          });
        }
        const text = String(stdin ?? "");
        const stdout = text.includes("os-release") ? itself : text ? units : "";
        for (const line of stdout.split("\n").filter(Boolean)) onLine?.(line);
        return { code: 0, stdout, stderr: "" };
      },
      put: async () => {},
      close: async () => {
        closed.push(name);
      },
    };
  };
};

test("hosts that are well say what was looked at", async () => {
  const closed: string[] = [];
  const checks = await hostChecks("team", HOSTS, opens({}, closed));
  expect(checks.map(({ id, state }) => `${id} ${state}`)).toEqual([
    "host a ok",
    "host b ok",
    "host c ok",
  ]);
  expect(checks[0]?.text).toMatch(
    /^2 units run, etcd votes, with a majority, 38\.1 GiB free, clock within \d/,
  );
  expect(closed.sort()).toEqual(["a", "b", "c"]);
});

test("everything that is wrong on a host is told at once, with where to look", async () => {
  const units =
    "unit openclaw-fleet-node.service activating\nunit openclaw-fleet-certbot.service failed\netcd not ready:\tno leader\n";
  const [check] = await hostChecks(
    "team",
    HOSTS.slice(0, 1),
    opens({ a: { survey: survey("a", { aheadSeconds: 90, freeKiB: 1_000 }), units } }),
  );
  expect(check?.state).toBe("fail");
  for (const part of [
    "MiB are free there",
    "ahead of this machine's",
    "openclaw-fleet-node.service is activating",
    "openclaw-fleet-certbot.service is failed",
    "its member of etcd: not ready: no leader",
  ]) {
    expect(check?.text).toContain(part);
  }
  expect(check?.fix).toContain("on a: journalctl -u openclaw-fleet-certbot.service -n 50");
  expect(check?.fix).toContain("on a: journalctl -u openclaw-fleet-etcd.service -n 50");
});

test("a host that is away, and one that is silent, are findings beside the others", async () => {
  const [a, b, c] = await hostChecks(
    "team",
    HOSTS,
    opens({ a: { away: "host a does not answer\n at 22" }, b: { silent: true } }),
    { patienceMs: 50 },
  );
  expect(a).toMatchObject({ state: "fail", text: "host a does not answer; at 22" });
  expect(a?.fix).toContain('"A host is lost"');
  expect(b).toMatchObject({ state: "fail", text: "it did not answer within 0.05 s" });
  expect(c?.state).toBe("ok");
});

test("a host that was installed anew is told, and so is another's", async () => {
  const bare = survey("a").replace(/^record.*\n/m, "");
  const [a, b] = await hostChecks(
    "team",
    HOSTS.slice(0, 2),
    opens({ a: { survey: bare, units: "" }, b: { survey: survey("x"), units: "" } }),
  );
  expect(a?.text).toBe(
    "nothing of the fleet is on it: it was installed anew, or is another machine",
  );
  expect(b?.text).toContain("none of the fleet's units is to run");
  expect(a?.fix).toContain("./fleet up --stack team");
  expect(b?.text).toContain("it is node x of fleet team");
});

test("a unit that is enabled and has failed counts once; without a member nothing is said of etcd", () => {
  expect(parseLook("unit u.service inactive\nunit u.service failed\n")).toEqual({
    units: [["u.service", "failed"]],
    etcd: null,
  });
});

test("a shell carries the script out, and asks systemd for nothing but this fleet's units", () => {
  const bin = mkdtempSync(join(tmpdir(), "fleet-systemctl-"));
  try {
    const systemctl = `#!/bin/sh
echo "$*" >> ${join(bin, "asked")}
case "$1 $2" in
  "list-unit-files --no-legend") printf 'a.service enabled enabled\\nb.timer enabled -\\n' ;;
  "list-units --all") printf 'c.service loaded failed failed What it is\\n' ;;
  "is-active a.service") echo active ;;
  "is-active b.timer") echo inactive; exit 3 ;;
esac
`;
    writeFileSync(join(bin, "systemctl"), systemctl, { mode: 0o755 });
    const { status, stdout, stderr } = spawnSync("sh", ["-s"], {
      encoding: "utf8",
      input: LOOK_SCRIPT,
      env: { PATH: `${bin}${delimiter}${process.env.PATH}` },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(parseLook(stdout).units).toEqual([
      ["a.service", "active"],
      ["b.timer", "inactive"],
      ["c.service", "failed"],
    ]);
    const asked = readFileSync(join(bin, "asked"), "utf8").trim().split("\n");
    expect(asked.filter((line) => !/^is-active |openclaw-fleet-\*$/.test(line))).toEqual([]);
  } finally {
    rmSync(bin, { recursive: true, force: true });
  }
});
