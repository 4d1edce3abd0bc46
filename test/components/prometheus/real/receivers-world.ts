import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createHttp, type IncomingMessage, type Server } from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";
import { UNITS } from "../../../../components/prometheus/catalog.ts";
import { planPrometheus } from "../../../../components/prometheus/plan.ts";
import { monitoringSettings } from "../../../../components/watch/settings.ts";
import { issue } from "../../../../plugin/host/authority.ts";
import { eventually } from "../../../support/eventually.ts";
import { freePorts } from "../../../support/free-ports.ts";
import { HostWorld } from "../../../support/host-world.ts";
import { watchPrograms } from "../../../support/watch-programs.ts";
import { Programs } from "./programs.ts";
import { type PagerEvent, pagerDutyRefuses, type SlackMessage, slackRefuses } from "./services.ts";

/** A start on a loaded machine may take this long, ms. */
const START_MS = 60_000;

/** Whom Alertmanager writes to; no setting names another. Source: its documentation, `pagerduty_url`. */
const PAGERDUTY = { name: "events.pagerduty.com", port: 443 };

/** Only root may listen where PagerDuty does. */
export const CAN_PAGE = process.getuid?.() === 0;

export interface Mail {
  readonly user: string;
  readonly encrypted: boolean;
  readonly to: readonly string[];
  /** Head and body, as sent. */
  readonly raw: string;
}

export interface ReceiversOptions {
  /** The mail server speaks no TLS, and would take a password over the open line. @default false */
  readonly openMail?: boolean;
}

/**
 * Debian's Alertmanager as planned for hosts, and those whom it tells: a real mail server, and Slack and PagerDuty
 * as far as their documentation says what they refuse, at addresses of this machine.
 */
export class ReceiversWorld {
  readonly slack: SlackMessage[] = [];
  readonly pages: PagerEvent[] = [];
  readonly mails: Mail[] = [];
  /** What a service said no to. */
  readonly refused: string[] = [];
  readonly #hosts: HostWorld;
  readonly #programs: Programs;
  readonly #servers: Server[] = [];
  readonly #port: number;
  #mail: SMTPServer | undefined;

  private constructor(hosts: HostWorld, root: string, port: number) {
    this.#hosts = hosts;
    this.#programs = new Programs(root);
    this.#port = port;
  }

  static async start(options: ReceiversOptions = {}): Promise<ReceiversWorld> {
    const root = await watchPrograms();
    const hosts = await HostWorld.make(1);
    const [port = 0] = await freePorts(["127.0.0.1"], 1);
    const world = new ReceiversWorld(hosts, root, port);
    try {
      await world.#run(options);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  async #run({ openMail = false }: ReceiversOptions): Promise<void> {
    const hosts = this.#hosts;
    const key = "r".repeat(32);
    const password = "a password: with $ and %";
    hosts.secrets.set("setting.slack", `${await this.#startSlack()}/services/T0/B0/secret`);
    hosts.secrets.set("setting.pager", key);
    hosts.secrets.set("setting.mail", password);
    if (CAN_PAGE) await this.#startPagerDuty(key);
    const smarthost = `localhost:${await this.#startMail(password, openMail)}`;
    const part = planPrometheus(hosts.context("a"), {
      settings: {
        ...monitoringSettings.parse({ canary: { enabled: false } }),
        alerts: {
          slack: { channel: "#alerts", url: "{{secret setting.slack}}" },
          ...(CAN_PAGE ? { pagerDuty: { key: "{{secret setting.pager}}" } } : {}),
          email: {
            to: ["one@a.example", "two@a.example"],
            from: "fleet@a.example",
            smarthost,
            username: "fleet",
            password: "{{secret setting.mail}}",
          },
          repeatHours: 1,
        },
      },
      shards: [],
      replicated: false,
      etcd: [],
      redis: [],
      front: null,
      ports: {
        machine: 0,
        prometheus: 0,
        alertmanager: this.#port,
        blackbox: 0,
        redis: 0,
        canary: 0,
      },
      timing: { scrapeSeconds: 1, probeSeconds: 2, patience: 1, groupWaitSeconds: 1 },
    });
    hosts.write(part);
    const authority = join(hosts.dir, "authority.pem");
    writeFileSync(authority, hosts.authority.cert);
    const { address = "" } = hosts.hosts[0] ?? {};
    const hostsFile = join(hosts.dir, "names");
    writeFileSync(hostsFile, `127.0.0.1 localhost\n${address} ${PAGERDUTY.name}\n`);
    this.#programs.spawn("alertmanager", part.units?.[UNITS.alertmanager]?.content ?? "", {
      env: { SSL_CERT_FILE: authority, SSL_CERT_DIR: "/nowhere" },
      hostsFile,
    });
    await eventually(async () => {
      const { ok } = await fetch(`${this.#url}/-/ready`);
      if (!ok) throw new Error(`nothing answers yet:\n${this.said()}`);
    }, START_MS);
  }

  get #url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** What Alertmanager wrote, for a test that fails. */
  said(): string {
    return this.#programs.said("alertmanager");
  }

  /** Says that something is wrong, as Prometheus would; with an end, that it was. */
  async alert(name: string, severity: string, ended = false): Promise<void> {
    const startsAt = new Date(Date.now() - 60_000).toISOString();
    const alert = {
      labels: { alertname: name, severity, fleet: "test" },
      annotations: {
        summary: `${name} of the test`,
        description: "What it means",
        command: "./fleet status",
        runbook: "docs/operations.md#a-router-does-not-answer",
      },
      startsAt,
      ...(ended ? { endsAt: new Date().toISOString() } : {}),
    };
    const response = await fetch(`${this.#url}/api/v2/alerts`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify([alert]),
    });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  }

  /** Messages that Alertmanager could not bring to a kind of receiver, as it counts them itself. */
  async failed(integration: string): Promise<number> {
    const text = await (await fetch(`${this.#url}/metrics`)).text();
    const counts = text
      .split("\n")
      .filter((line) => line.startsWith("alertmanager_notifications_failed_total{"))
      .filter((line) => line.includes(`integration="${integration}"`))
      .map((line) => Number(line.split(" ").at(-1)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #startSlack(): Promise<string> {
    const server = createHttp(async (req, res) => {
      const message = await readJson(req);
      const why = slackRefuses(req.url ?? "", "/services/T0/B0/secret", message);
      if (why === null) this.slack.push(message as SlackMessage);
      else this.refused.push(`slack: ${why.text}`);
      res.writeHead(why?.status ?? 200).end(why?.text ?? "ok");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#servers.push(server);
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async #startPagerDuty(key: string): Promise<void> {
    const leaf = { fleet: "test", name: "pager", addresses: [PAGERDUTY.name], days: 30 };
    const pair = await issue(this.#hosts.authority, leaf, new Date());
    const server = createHttps({ cert: pair.cert, key: pair.key }, async (req, res) => {
      const event = await readJson(req);
      const why = pagerDutyRefuses(req.url ?? "", key, event);
      if (why === null) this.pages.push(event as PagerEvent);
      else this.refused.push(`pagerduty: ${why}`);
      const body =
        why === null ? { status: "success" } : { status: "invalid event", errors: [why] };
      res.writeHead(why === null ? 202 : 400).end(JSON.stringify(body));
    });
    server.listen(PAGERDUTY.port, this.#hosts.hosts[0]?.address);
    await once(server, "listening");
    this.#servers.push(server);
  }

  async #startMail(password: string, open: boolean): Promise<number> {
    const leaf = { fleet: "test", name: "mail", addresses: ["localhost"], days: 30 };
    const { cert, key } = await issue(this.#hosts.authority, leaf, new Date());
    const mail = new SMTPServer({
      cert,
      key,
      ...(open ? { disabledCommands: ["STARTTLS"], allowInsecureAuth: true } : {}),
      onAuth: (auth, _session, done) => {
        if (auth.username === "fleet" && auth.password === password) done(null, { user: "fleet" });
        else done(new Error("wrong account or password"));
      },
      onData: (stream, session, done) => {
        const parts: Buffer[] = [];
        stream.on("data", (part: Buffer) => parts.push(part));
        stream.on("end", () => {
          this.mails.push({
            user: String(session.user),
            encrypted: session.secure,
            to: session.envelope.rcptTo.map(({ address }) => address),
            raw: Buffer.concat(parts).toString(),
          });
          done();
        });
      },
    });
    mail.on("error", (error: Error) => this.refused.push(`mail: ${error.message}`));
    mail.listen(0, "127.0.0.1");
    await once(mail.server, "listening");
    this.#mail = mail;
    return (mail.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await this.#programs.close();
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
    await new Promise<void>((resolve) => (this.#mail ? this.#mail.close(resolve) : resolve()));
    this.#hosts.close();
  }
}

async function readJson(req: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of req) parts.push(part as Buffer);
  try {
    return JSON.parse(Buffer.concat(parts).toString());
  } catch {
    return undefined;
  }
}
