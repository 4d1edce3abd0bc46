import { randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROUTER_NAME } from "../../components/front/plan.ts";
import {
  HOST_PORTS,
  type HostContext,
  type HostFacts,
  type HostPart,
  type HostPorts,
} from "../../components/host/types.ts";
import { issue, type KeyPair, makeAuthority } from "../../plugin/host/authority.ts";
import { freePorts } from "./free-ports.ts";

/** Names of hosts in tests. */
const NAMES = ["a", "b", "c", "d", "e", "f"];

/** Hosts that are addresses of this machine's loopback, with certificates of one authority, in one folder. */
export class HostWorld {
  readonly dir: string;
  readonly hosts: readonly HostFacts[];
  readonly ports: HostPorts;
  readonly authority: KeyPair;
  /** By secret's name. */
  readonly secrets = new Map<string, string>();

  private constructor(dir: string, hosts: HostFacts[], ports: HostPorts, authority: KeyPair) {
    this.dir = dir;
    this.hosts = hosts;
    this.ports = ports;
    this.authority = authority;
  }

  static async make(count: number): Promise<HostWorld> {
    const dir = mkdtempSync(join(tmpdir(), "fleet-hosts-"));
    // Everybody may pass: some programs give up their rights.
    const net = `127.${randomInt(1, 255)}.${randomInt(0, 255)}`;
    const hosts = NAMES.slice(0, count).map((name, n) => ({ name, address: `${net}.${n + 1}` }));
    const authority = await makeAuthority("test", new Date());
    const addresses = hosts.map(({ address }) => address);
    const free = await freePorts(addresses, Object.keys(HOST_PORTS).length + 8);
    const names = Object.keys(HOST_PORTS) as (keyof HostPorts)[];
    const ports = Object.fromEntries(
      names.map((name, n) => [name, free[n]]),
    ) as unknown as HostPorts;
    const world = new HostWorld(dir, hosts, ports, authority);
    world.secrets.set("tls.ca", authority.cert);
    for (const { name } of hosts) await world.certify(name);
    return world;
  }

  /** A (new) certificate of a host. */
  async certify(name: string, authority = this.authority): Promise<KeyPair> {
    const address = this.hosts.find((host) => host.name === name)?.address as string;
    const addresses = [name, address, ROUTER_NAME, "localhost", "127.0.0.1"];
    const pair = await issue(authority, { fleet: "test", name, addresses, days: 30 }, new Date());
    this.secrets.set(`tls.${name}.cert`, pair.cert);
    this.secrets.set(`tls.${name}.key`, pair.key);
    const { tls } = this.context(name).paths;
    mkdirSync(tls, { recursive: true });
    writeFileSync(join(tls, "ca.pem"), this.authority.cert);
    writeFileSync(join(tls, "node.pem"), pair.cert);
    writeFileSync(join(tls, "node.key"), pair.key);
    return pair;
  }

  pair(name: string): KeyPair {
    const [cert, key] = ["cert", "key"].map((kind) => this.secrets.get(`tls.${name}.${kind}`));
    return { cert: cert as string, key: key as string };
  }

  context(name: string): HostContext {
    const at = join(this.dir, name);
    return {
      fleet: "test",
      self: this.hosts.find((host) => host.name === name) as HostFacts,
      hosts: this.hosts,
      paths: {
        release: join(at, "release"),
        data: join(at, "data"),
        etc: join(at, "etc"),
        tls: join(at, "tls"),
      },
      ports: this.ports,
    };
  }

  /** Directories and files of a part, with secrets put in, for whoever runs this. */
  write(part: HostPart): void {
    for (const path of Object.keys(part.directories ?? {})) mkdirSync(path, { recursive: true });
    for (const [path, { content, mode }] of Object.entries(part.files ?? {})) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, this.revealed(content), { mode: Number.parseInt(mode, 8) });
    }
  }

  revealed(text: string): string {
    return text.replace(/\{\{secret ([\w.[\]-]+)\}\}/g, (_, name: string) => {
      const value = this.secrets.get(name);
      if (value === undefined) throw new Error(`no secret ${name}`);
      return value;
    });
  }

  close(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
