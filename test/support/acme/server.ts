import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { issue, makeAuthority } from "../../../plugin/host/authority.ts";
import { cacheEntry } from "../../../toolchain/cache.ts";
import { type GoBuild, goBuild, usualGo } from "../../../toolchain/go-build.ts";
import { createProgress } from "../../../toolchain/progress.ts";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-ports.ts";

const BUILD: GoBuild = {
  name: "Pebble",
  // In the name of the cache's entry: another one is built anew.
  version: "2.10.1",
  lock: import.meta.dirname,
  packages: ["pebble", "pebble-challtestsrv"].map(
    (name) => `github.com/letsencrypt/pebble/v2/cmd/${name}`,
  ),
  output: ".",
  flags: ["-ldflags", "-s -w"],
  instead: "leave out the tests of ACME",
};

/** Folder of Let's Encrypt's own server for tests and of a name server that is told what to say. */
async function programs(): Promise<string> {
  const key = `${BUILD.version}-${process.arch}`;
  return cacheEntry("pebble", key, build, { progress: createProgress() });
}

async function build(folder: string): Promise<void> {
  const go = usualGo();
  if (!go) {
    throw new Error("a test needs an authority with ACME, and there is no Go to build one with");
  }
  await goBuild(BUILD, go, folder);
}

type Ports = Readonly<Record<"directory" | "management" | "names" | "named", number>>;

/**
 * A real certificate authority with ACME (Pebble), which asks port 80 of the hosts that its names lead to. No name
 * leads anywhere before {@link pointTo}.
 */
export class TestAcme {
  readonly #folder = mkdtempSync(join(tmpdir(), "acme-"));
  readonly #children: ChildProcess[] = [];
  readonly #address: string;
  readonly #ports: Ports;
  /** Of the authority that signed the certificate of the directory itself, PEM. */
  readonly directoryCa: string;
  #said = "";

  private constructor(address: string, ports: Ports, directoryCa: string) {
    this.#address = address;
    this.#ports = ports;
    this.directoryCa = directoryCa;
  }

  /** @param address this machine's, which the hosts reach */
  static async start(address: string): Promise<TestAcme> {
    const folder = await programs();
    const now = new Date();
    const authority = await makeAuthority("acme", now);
    const leaf = { fleet: "acme", name: "directory", addresses: [address], days: 2 };
    const { cert, key } = await issue(authority, leaf, now);
    const [directory, management] = [await freePort(), await freePort()];
    const [names, named] = [await freePort(), await freePort()];
    const acme = new TestAcme(address, { directory, management, names, named }, authority.cert);
    try {
      await acme.#run(folder, { cert, key });
    } catch (error) {
      await acme.close();
      throw error;
    }
    return acme;
  }

  get directory(): string {
    return `https://${this.#address}:${this.#ports.directory}/dir`;
  }

  async #run(folder: string, certificate: { cert: string; key: string }): Promise<void> {
    const file = (name: string, text: string) => {
      const path = join(this.#folder, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    const { directory, management, names, named } = this.#ports;
    const pebble = {
      listenAddress: `${this.#address}:${directory}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: file("cert.pem", certificate.cert),
      privateKey: file("key.pem", certificate.key),
      httpPort: 80,
      tlsPort: 443,
      profiles: { default: { description: "as Let's Encrypt's", validityPeriod: 90 * 86_400 } },
    };
    const config = file("pebble.json", JSON.stringify({ pebble }));
    const none = ["http01", "https01", "tlsalpn01", "doh", "defaultIPv4", "defaultIPv6"];
    this.#start(join(folder, "pebble-challtestsrv"), [
      ...none.map((what) => `-${what}=`),
      `-dnsserver=127.0.0.1:${named}`,
      `-management=127.0.0.1:${names}`,
    ]);
    this.#start(
      join(folder, "pebble"),
      [`-config=${config}`, `-dnsserver=127.0.0.1:${named}`, "-strict"],
      // It would wait up to 15 s before it looks, and refuse one good request in twenty.
      { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0" },
    );
    await eventually(async () => {
      if (this.#children.some(({ exitCode }) => exitCode !== null)) throw new Error(this.#said);
      await this.root();
      await this.#name("clear-a", { host: "nowhere.example" });
    });
  }

  #start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#children.push(child);
    const hear = (text: Buffer) => {
      this.#said = (this.#said + text).slice(-4_000);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
  }

  /** Its own root, which clients of what it signs would trust, PEM. */
  root(): Promise<string> {
    return new Promise((resolve, reject) => {
      const url = `https://127.0.0.1:${this.#ports.management}/roots/0`;
      // Signed for the hosts' way to it; on loopback nobody else listens at this port.
      request(url, { rejectUnauthorized: false, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve(Buffer.concat(chunks).toString()));
      })
        .once("error", reject)
        .end();
    });
  }

  /** From now on these names lead to that address, and nowhere else. */
  async pointTo(address: string, names: readonly string[]): Promise<void> {
    for (const name of names) await this.#name("add-a", { host: name, addresses: [address] });
  }

  async #name(what: string, body: object): Promise<void> {
    const url = `http://127.0.0.1:${this.#ports.names}/${what}`;
    const { status } = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    if (status !== 200) throw new Error(`the name server answered ${status} to ${what}`);
  }

  async close(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
