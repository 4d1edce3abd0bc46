import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CADDY_UNIT, planCaddy } from "../../components/caddy/plan.ts";
import { planFront } from "../../components/front/plan.ts";
import { NGINX_UNIT, planNginx } from "../../components/nginx/plan.ts";
import { TestAcme } from "../support/acme/server.ts";
import { eventually } from "../support/eventually.ts";
import type { TestHost } from "./support/host.ts";
import { PlannedHosts, unitShows } from "./support/planned-hosts.ts";
import { whyNoHosts } from "./support/programs.ts";

const CERTIFICATE_UNIT = "openclaw-fleet-certificate.service";
const TIMER = "openclaw-fleet-certificate.timer";
const CA_FILE = "/etc/acme-ca.pem";
const EARLY = "early.example";
const NAME = "fleet.example";
const CADDY_NAME = "caddy.example";
/** Longest wait for a certificate: two processors may do other things, ms. */
const GIVEN_MS = 120_000;
/** Three hosts and an authority; the latter is built from its modules the first time. */
const SETUP_MS = 900_000;

describe.skipIf(whyNoHosts() !== null)("certificates of fronts by ACME", () => {
  let planned: PlannedHosts;
  let acme: TestAcme;
  let [a, b, c]: TestHost[] = [];
  const host = (one: TestHost | undefined) => one as TestHost;

  beforeAll(async () => {
    planned = await PlannedHosts.create(["a", "b", "c"]);
    [a, b, c] = planned.lab.hosts;
    acme = await TestAcme.start(planned.lab.machine);
  }, SETUP_MS);
  afterAll(async () => {
    await acme?.close();
    await planned?.close();
  });

  /** Two fronts are Nginx behind one name, and the third is Caddy alone. */
  async function deploy(one: TestHost, names: readonly string[]): Promise<void> {
    const caddy = one === c;
    const context = planned.context(one);
    const front = planFront(context.hosts, {
      names,
      certificate: {
        ...{ kind: "acme", email: "people@fleet.example" },
        ...{ directory: acme.directory, directoryCa: CA_FILE },
      },
      hosts: caddy ? ["c"] : ["a", "b"],
    });
    const trust = {
      files: {
        [CA_FILE]: { content: acme.directoryCa, owner: "root", group: "root", mode: "0644" },
      },
    };
    await planned.deploy(one, [trust, (caddy ? planCaddy : planNginx)(context, front)]);
  }

  /** The certificate that a host serves under a name; null: it serves none. */
  const served = (one: TestHost, name: string): Promise<X509Certificate | null> =>
    new Promise((resolve) => {
      const socket = connect(
        { host: one.address, port: 443, servername: name, rejectUnauthorized: false },
        () => {
          const { raw } = socket.getPeerCertificate();
          socket.destroy();
          resolve(new X509Certificate(raw));
        },
      );
      socket.once("error", () => resolve(null));
    });
  /** Whether somebody who trusts the authority, and nothing else, gets to the front by this name. */
  async function trusted(one: TestHost, name: string): Promise<void> {
    const ca = await acme.root();
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host: one.address, port: 443, servername: name, ca }, () => {
        socket.destroy();
        resolve();
      });
      socket.once("error", reject);
    });
  }

  test("a name that leads nowhere yet fails no deployment: the fleet's own certificate is served", async () => {
    for (const one of [host(a), host(b)]) {
      // As Debian leaves it; it would renew without knowing of the front.
      await one.run(["systemctl", "enable", "--now", "certbot.timer"]);
      await deploy(one, [EARLY]);
      expect(await unitShows(one, "certbot.timer", "ActiveState")).toBe("inactive");
      await eventually(async () => {
        const { stdout } = await one.run(["journalctl", "-u", CERTIFICATE_UNIT, "-o", "cat"]);
        expect(stdout).toMatch(/Some challenges have failed/);
        expect(await unitShows(one, CERTIFICATE_UNIT, "SubState")).toBe("auto-restart");
      }, GIVEN_MS);
      expect((await served(one, EARLY))?.subjectAltName).toContain(`DNS:${one.name}`);
      expect(await planned.drift(one)).toEqual({});
    }
  });

  test("another name is asked for at once, also where it leads to another front than the one that asks", async () => {
    await acme.pointTo(host(b).address, [NAME]);
    for (const one of [host(a), host(b)]) {
      const pid = await unitShows(one, NGINX_UNIT, "MainPID");
      await deploy(one, [NAME]);
      await eventually(() => trusted(one, NAME), GIVEN_MS);
      expect((await served(one, NAME))?.subjectAltName).toBe(`DNS:${NAME}`);
      expect(await unitShows(one, NGINX_UNIT, "MainPID")).toBe(pid);
      expect(await planned.drift(one)).toEqual({});
    }
    const [ofA, ofB] = [await served(host(a), NAME), await served(host(b), NAME)];
    expect(ofA?.serialNumber).not.toBe(ofB?.serialNumber);
  });

  test("asked again it keeps what is good, and takes another one in its last third", async () => {
    const one = host(a);
    const before = await served(one, NAME);
    const pid = await unitShows(one, NGINX_UNIT, "MainPID");
    await one.run(["systemctl", "start", CERTIFICATE_UNIT]);
    expect((await served(one, NAME))?.serialNumber).toBe(before?.serialNumber);
    // Ninety days are its whole life: now all of it is its last third.
    const renewal = "/etc/letsencrypt/renewal/openclaw-fleet.conf";
    await one.run(`sed -i '1i renew_before_expiry = 100 days' ${renewal}`);
    await one.run(["systemctl", "start", CERTIFICATE_UNIT]);
    await eventually(async () => {
      const after = await served(one, NAME);
      expect(after?.subjectAltName).toBe(`DNS:${NAME}`);
      expect(after?.serialNumber).not.toBe(before?.serialNumber);
    });
    await trusted(one, NAME);
    expect(await unitShows(one, NGINX_UNIT, "MainPID")).toBe(pid);
    expect(await planned.drift(one)).toEqual({});
  });

  test("after a reboot the same certificate is served, and the timer looks again", async () => {
    const one = host(a);
    const before = await served(one, NAME);
    await one.reboot();
    await eventually(async () => {
      expect((await served(one, NAME))?.serialNumber).toBe(before?.serialNumber);
      expect(await unitShows(one, CERTIFICATE_UNIT, "Result")).toBe("success");
      expect(await unitShows(one, CERTIFICATE_UNIT, "ExecMainStartTimestampMonotonic")).not.toBe(
        "0",
      );
      expect(await unitShows(one, TIMER, "ActiveState")).toBe("active");
    }, GIVEN_MS);
  });

  test("Caddy alone gets its own, without a word of certbot", async () => {
    await acme.pointTo(host(c).address, [CADDY_NAME]);
    await deploy(host(c), [CADDY_NAME]);
    await eventually(() => trusted(host(c), CADDY_NAME), GIVEN_MS);
    expect((await served(host(c), CADDY_NAME))?.subjectAltName).toBe(`DNS:${CADDY_NAME}`);
    expect(await unitShows(host(c), CADDY_UNIT, "ActiveState")).toBe("active");
    expect(await planned.drift(host(c))).toEqual({});
  });

  test("what is taken away leaves no unit, and no key where its package goes", async () => {
    for (const one of [host(a), host(c)]) await planned.remove(one);
    const { stdout } = await host(a).run(
      "systemctl list-unit-files --no-legend 'openclaw-fleet*'; ls -d /var/lib/openclaw-fleet* /etc/openclaw-fleet* 2>/dev/null || :",
    );
    expect(stdout).toBe("");
    // It was there before the fleet, so it stays until somebody takes it away.
    await host(a).run("dpkg --purge certbot && test ! -e /etc/letsencrypt");
    const caddys = await host(c).run("ls -d /var/lib/openclaw-fleet-front 2>/dev/null || :");
    expect(caddys.stdout).toBe("");
  });
});
