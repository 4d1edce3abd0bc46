import { mergeParts } from "../../../components/host/merge.ts";
import type { HostContext, HostPart, HostPlan } from "../../../components/host/types.ts";
import type { Operation } from "../../../plugin/handler.ts";
import { issue, type KeyPair, makeAuthority } from "../../../plugin/host/authority.ts";
import { ReleaseHandler } from "../../../plugin/host/release.ts";
import { openSsh } from "../../../plugin/host/ssh.ts";
import { type Props, reveal, secret } from "../../../plugin/values.ts";
import { bundleRuntime } from "../../../toolchain/bundle.ts";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";
import type { TestHost } from "./host.ts";
import { TestHosts } from "./lab.ts";
import { contextFor, putRelease } from "./node-unit.ts";

/** Made with a host's certificate, and taken by the next change or removal. */
interface Deployed {
  readonly news: Props;
  readonly state: Props;
}

/** Hosts of a lab that get plans as a deployment brings them, without nodes: what stands around nodes is tested. */
export class PlannedHosts {
  readonly lab: TestHosts;
  /** Secrets of the plans; a test adds its own before it deploys. */
  readonly secrets: Record<string, string> = {};
  readonly #authority: KeyPair;
  readonly #release = new ReleaseHandler({ open: openSsh, env: {} });
  readonly #deployed = new Map<string, Deployed>();

  private constructor(lab: TestHosts, authority: KeyPair) {
    this.lab = lab;
    this.#authority = authority;
    this.secrets["tls.ca"] = authority.cert;
  }

  /** Makes the hosts, each with a certificate of the fleet and what carries plans out. */
  static async create(names: readonly string[]): Promise<PlannedHosts> {
    const lab = await TestHosts.create({ hosts: names });
    try {
      const made = new PlannedHosts(lab, await makeAuthority("lab", new Date()));
      const { files } = await bundleRuntime(PROJECT_ROOT);
      const agent = files.find(({ name }) => name === "host-agent.js")?.text ?? "";
      for (const host of lab.hosts) {
        await made.certify(host);
        await putRelease(host, made.context(host), {
          "runtime/host-agent.js": agent,
          "runtime/package.json": '{ "type": "module" }\n',
        });
      }
      return made;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  context(host: TestHost): HostContext {
    return contextFor(this.lab.hosts, host);
  }

  /** Another certificate of the fleet, with these names beside its own. */
  async certify(host: TestHost, names: readonly string[] = []): Promise<void> {
    const addresses = [host.name, host.address, "localhost", ...names];
    const leaf = { fleet: "lab", name: host.name, addresses, days: 30 };
    const { cert, key } = await issue(this.#authority, leaf, new Date());
    this.secrets[`tls.${host.name}.cert`] = cert;
    this.secrets[`tls.${host.name}.key`] = key;
  }

  /**
   * Creates or changes what the host carries: these parts, and the certificates that every host has. A front is not
   * asked for the fleet's answer, as its routers are not there.
   */
  async deploy(host: TestHost, parts: readonly HostPart[]): Promise<void> {
    const { checks, ...plan } = mergeParts([this.#tls(host), ...parts]);
    const own = Object.entries(checks).filter(([name]) => !/front/.test(name));
    const news = this.#inputs(host, { ...plan, checks: Object.fromEntries(own) });
    const former = this.#deployed.get(host.name);
    const state = former
      ? await this.#release.update(`lab/${host.name}`, former.state, news, operation())
      : (await this.#release.create(news, operation())).state;
    this.#deployed.set(host.name, { news, state });
  }

  /** What differs from the plan. */
  async drift(host: TestHost): Promise<unknown> {
    const { news, state } = this.#of(host);
    const found = await this.#release.read(`lab/${host.name}`, state, news);
    return reveal(found?.state.drift);
  }

  async remove(host: TestHost): Promise<void> {
    await this.#release.delete(`lab/${host.name}`, this.#of(host).state, operation());
    this.#deployed.delete(host.name);
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  #of(host: TestHost): Deployed {
    const deployed = this.#deployed.get(host.name);
    if (!deployed) throw new Error(`nothing was deployed to ${host.name}`);
    return deployed;
  }

  #inputs(host: TestHost, plan: HostPlan): Props {
    const { inputs, failures } = this.#release.check(undefined, {
      host: this.lab.connection(host.name),
      ...{ fleet: "lab", node: host.name, artifact: "test", apiPort: 0 },
      ...{ keepData: false, protected: false, plan, secrets: secret(this.secrets) },
    });
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    return inputs;
  }

  #tls(host: TestHost): HostPart {
    const { tls } = this.context(host).paths;
    const file = (content: string) => ({ content, owner: "root", group: "root", mode: "0640" });
    return {
      directories: { [tls]: { owner: "root", group: "root", mode: "0755" } },
      files: {
        [`${tls}/ca.pem`]: file("{{secret tls.ca}}"),
        [`${tls}/node.pem`]: file(`{{secret tls.${host.name}.cert}}`),
        [`${tls}/node.key`]: file(`{{secret tls.${host.name}.key}}`),
      },
    };
  }
}

const operation = (): Operation & { preview: boolean } => ({
  preview: false,
  signal: new AbortController().signal,
  say: () => {},
  programRuns: true,
});

/** A property of a unit, as systemd says it. */
export async function unitShows(host: TestHost, unit: string, property: string): Promise<string> {
  const { stdout } = await host.run(["systemctl", "show", "--value", "-p", property, unit]);
  return stdout.trim();
}
