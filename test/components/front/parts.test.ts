import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { caddyConfig } from "../../../components/caddy/config.ts";
import { planCaddy } from "../../../components/caddy/plan.ts";
import { type FrontSettings, planFront } from "../../../components/front/plan.ts";
import { HOST_PATHS, HOST_PORTS, type HostPart } from "../../../components/host/types.ts";
import { nginxConfig } from "../../../components/nginx/config.ts";
import { planNginx } from "../../../components/nginx/plan.ts";
import type { RedisMode } from "../../../components/redis/layout.ts";
import { planRedis } from "../../../components/redis/plan.ts";
import { type UnitStatus, unitActions } from "../../../plugin/host/agent/units.ts";
import { onPath } from "../../support/debian-package.ts";

const HOSTS = ["a", "b", "c"].map((name, n) => ({ name, address: `10.0.0.${n + 1}` }));
const context = (name = "a") => ({
  fleet: "prod",
  self: HOSTS.find((host) => host.name === name) as (typeof HOSTS)[0],
  hosts: HOSTS,
  paths: { ...HOST_PATHS, release: `${HOST_PATHS.releases}/r1` },
  ports: HOST_PORTS,
});
const front = (over: Partial<FrontSettings> = {}) =>
  planFront(HOSTS, { names: ["fleet.example.com"], certificate: { kind: "acme" }, ...over });
const MODES: RedisMode[] = ["single", "sentinel", "cluster"];
const WITNESS = "nginx, on a witness";
const witness = { ...context(), self: { ...context().self, witness: true } };
const parts: [string, HostPart][] = [
  [WITNESS, planNginx(witness, front({ hosts: ["a"] }))],
  ["nginx, acme", planNginx(context(), front())],
  ["nginx, fleet", planNginx(context(), front({ certificate: { kind: "fleet" }, names: [] }))],
  ["caddy, own", planCaddy(context(), front({ certificate: { kind: "own" } }))],
  ...MODES.map((mode): [string, HostPart] => [`redis, ${mode}`, planRedis(context(), { mode })]),
];

describe.each(parts)("%s", (name, part) => {
  test("every file is in a directory that is planned, or was there", () => {
    const planned = new Set(Object.keys(part.directories ?? {}));
    for (const path of Object.keys(part.files ?? {})) {
      expect(planned, path).toContain(path.slice(0, path.lastIndexOf("/")));
    }
  });

  test("a file with a secret is closed to others", () => {
    for (const [path, { content, mode }] of Object.entries(part.files ?? {})) {
      if (content.includes("{{secret")) expect(mode, path).toMatch(/0$/);
    }
  });

  test("what units are to see changed is planned here, or comes with the node", () => {
    const files = ["ca.pem", "node.pem", "node.key"].map((file) => `${HOST_PATHS.tls}/${file}`);
    const own = name === WITNESS ? [] : files;
    const known = new Set([...Object.keys(part.files ?? {}), ...own]);
    for (const { reloadOn = [], restartOn = [] } of Object.values(part.units ?? {})) {
      for (const path of [...reloadOn, ...restartOn]) expect(known).toContain(path);
    }
  });

  test.skipIf(!onPath("systemd-analyze"))("systemd understands its units", () => {
    const dir = mkdtempSync(join(tmpdir(), "units-"));
    try {
      const own = Object.entries(part.units ?? {}).filter(([, { content }]) => content);
      const paths = own.map(([name, { content = "" }]) => {
        // The programs are not on this machine; what is checked is the rest.
        const text = content.replace(/^(Exec\w+=)\S+/gm, "$1/bin/true");
        writeFileSync(join(dir, name), text);
        return join(dir, name);
      });
      const { stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", ...paths], {
        encoding: "utf8",
      });
      const ours = stderr.split("\n").filter((line) => line.includes("openclaw-fleet"));
      expect(ours).toEqual([]);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

test.each([
  // The http block's, not that of an upstream in it.
  ["nginx", nginxConfig(context(), front()), /^ {2}keepalive_timeout (\d+)s;/m],
  ["nginx", nginxConfig(context(), front()), /^ {4}proxy_read_timeout (\d+)s;/m],
  ["caddy", caddyConfig(context(), front({ hosts: ["a"] })), /\bidle (\d+)s\n/],
  ["caddy", caddyConfig(context(), front({ hosts: ["a"] })), /response_header_timeout (\d+)s\n/],
])("%s lets a client's connection, and a silent answer, be for at least 400 s", (_, text, said) => {
  expect(Number(said.exec(text)?.[1])).toBeGreaterThanOrEqual(400);
});

test("a host without a front has no part of it", () => {
  expect(planNginx(context("b"), front({ hosts: ["a"] }))).toEqual({});
  expect(planCaddy(context("b"), front({ hosts: ["a"] }))).toEqual({});
});

test("Caddy says what it cannot do, and who can", () => {
  expect(() => planCaddy(context(), front())).toThrow(/needs storage that they share.*nginx/s);
  const proxied = front({ certificate: { kind: "own" }, proxyProtocolFrom: ["10.0.0.0/8"] });
  expect(() => planCaddy(context(), proxied)).toThrow(/PROXY protocol/);
});

test("Nginx starts with the fleet's own certificate until ACME gave one", () => {
  const part = planNginx(context(), front());
  const [script] = Object.entries(part.files ?? {}).find(([path]) => path.endsWith(".sh")) ?? [];
  expect(part.units?.["openclaw-fleet-nginx.service"]?.verify?.join(" ")).toContain(script);
  expect(part.units?.["certbot.timer"]?.state).toBe("disabled");
  expect(part.units?.["openclaw-fleet-certificate.timer"]?.state).toBe("enabled");
});

describe("what an applied host is told when another certificate is to be asked for", () => {
  const TIMER = "openclaw-fleet-certificate.timer";
  const NGINX = "openclaw-fleet-nginx.service";
  const running = { loaded: true, active: true, atBoot: true } as UnitStatus;
  const told = (before: HostPart, after: HostPart) => {
    const texts = ({ files = {}, units = {} }: HostPart) => ({
      ...Object.fromEntries(Object.entries(files).map(([path, { content }]) => [path, content])),
      ...Object.fromEntries(
        Object.entries(units).map(([name, { content }]) => [
          `/etc/systemd/system/${name}`,
          content,
        ]),
      ),
    });
    const old: Record<string, unknown> = texts(before);
    const changed = Object.entries(texts(after)).flatMap(([path, text]) =>
      old[path] === text ? [] : [path],
    );
    const plan = { packages: [], users: {}, directories: {}, files: {}, checks: {}, ...after };
    const statuses = { [NGINX]: running, [TIMER]: running };
    return unitActions({ units: {}, ...plan }, new Set(changed), {}, statuses)
      .filter(({ action }) => action !== "disable")
      .map(({ name, action }) => `${action} ${name}`);
  };
  const acme = (over: Partial<FrontSettings> = {}) => planNginx(context(), front(over));

  test("under another name the timer starts anew once Nginx knows the name, and asks at once", () => {
    const other = acme({ names: ["chat.example.com"] });
    expect(told(acme(), other)).toEqual([`reload ${NGINX}`, `restart ${TIMER}`]);
    expect(other.units?.[TIMER]?.content).toContain("OnActiveSec=5s");
    expect(other.units?.[TIMER]?.content).toContain("AccuracySec=1s");
  });

  test("another directory is asked at once as well, and nothing without a change", () => {
    const directory = "https://acme.example.com/directory";
    const other = acme({ certificate: { kind: "acme", directory } });
    expect(told(acme(), other)).toEqual([`restart ${TIMER}`]);
    expect(told(acme(), acme())).toEqual([]);
  });

  test("a try that failed does not wait on for its next one when the timer starts anew", () => {
    const { content } = acme().units?.["openclaw-fleet-certificate.service"] ?? {};
    expect(content).toMatch(new RegExp(`^PartOf=${TIMER}$`, "m"));
  });

  test("Nginx goes on with the certificate that is there, under whatever name it was asked for", () => {
    const script = (part: HostPart) =>
      Object.entries(part.files ?? {}).find(([path]) => path.endsWith(".sh"))?.[1].content;
    expect(script(acme({ names: ["chat.example.com"] }))).toBe(script(acme()));
  });
});
