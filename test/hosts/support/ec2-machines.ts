import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { InstanceChange, StandInMachine } from "../../standin/machines.ts";
import { type Machine, writeAccount } from "../../support/aws-cli/machines.ts";
import { DATA } from "./boot.ts";
import type { TestHost } from "./host.ts";
import type { TestHosts } from "./lab.ts";
import { fleetTraces } from "./traces.ts";

/** An image of Ubuntu for EC2 brings it; ours does not. It says what it says there when it is done. */
const CLOUD_INIT = "#!/bin/sh\necho 'status: done'\n";
/** The user of Ubuntu's images, who may use sudo without a password. */
const USER = "ubuntu";
/** Where EC2 Instance Connect puts a key for a minute; on a real machine sshd asks for it. */
const SENT_KEYS = `/home/${USER}/.ssh/authorized_keys`;
const ADD_USER = `id -u ${USER} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash ${USER}
mkdir -p /home/${USER}/.ssh
echo '${USER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/90-${USER}
chmod 0440 /etc/sudoers.d/90-${USER}
`;
/** Later images have more users of their own: the next one to be added gets another number. */
const NEWER_IMAGE = "useradd --system newer-image";

export interface Ec2MachinesOptions {
  readonly lab: TestHosts;
  /** File that the stand-in for the AWS CLI reads. */
  readonly accountFile: string;
  readonly region: string;
  /** Puts more on a new machine's disk before it boots. @default nothing */
  readonly image?: (host: TestHost) => Promise<void>;
}

/**
 * What EC2 does with machines, for a stack on the stand-in for AWS: its instances are the hosts of a lab, by the
 * names of the nodes. Each has a disk of its own for conversations, as if user data had mounted it. A new instance
 * boots after it is said to be made, another one under the same name is another machine with the same disk, and
 * another class is a stop and a start.
 */
export class Ec2Machines {
  readonly #lab: TestHosts;
  readonly #accountFile: string;
  readonly #region: string;
  readonly #image: (host: TestHost) => Promise<void>;
  readonly #server: Server;
  readonly #online = new Map<string, TestHost>();
  readonly #kinds = new Map<string, string>();
  /** Nodes that had a machine before. */
  readonly #known = new Set<string>();
  #boots: Promise<void>[] = [];
  /** What was done with machines, in order: `a boots as i-…, m7i.large`. */
  readonly log: string[] = [];
  /** By instance: what was on it before anybody came, and at its end. */
  readonly traces = new Map<string, { readonly before: string; readonly after?: string }>();

  private constructor({ lab, accountFile, region, image = async () => {} }: Ec2MachinesOptions) {
    this.#lab = lab;
    this.#accountFile = accountFile;
    this.#region = region;
    this.#image = image;
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const change = JSON.parse(Buffer.concat(parts).toString()) as InstanceChange;
        this.#happened(change).then(
          () => response.end(),
          (error: Error) => response.writeHead(500).end(error.message),
        );
      });
    });
  }

  /** @param options the lab's hosts are off */
  static async start(options: Ec2MachinesOptions): Promise<Ec2Machines> {
    const machines = new Ec2Machines(options);
    machines.#tellCli();
    await new Promise<void>((resolve) => machines.#server.listen(0, "127.0.0.1", resolve));
    return machines;
  }

  /** Where the stand-in for AWS tells of instances. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Addresses of the machines, by node, as the account has them. */
  get addresses(): Readonly<Record<string, StandInMachine>> {
    return Object.fromEntries(
      this.#lab.hosts.map(({ name, address }) => [name, { address, publicAddress: address }]),
    );
  }

  /** Resolves when all machines that were made have booted; throws when one did not. */
  async booted(): Promise<void> {
    await Promise.all(this.#boots);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#boots);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #happened({ op, node, instanceId, instanceType }: InstanceChange): Promise<void> {
    const host = this.#lab.host(node);
    const kind = this.#kinds.get(instanceId);
    if (op === "update" && kind === instanceType) return;
    this.#kinds.set(instanceId, instanceType);
    if (op === "delete") await this.#look(host, instanceId);
    await this.#off(host, instanceId);
    if (op === "delete") {
      this.#kinds.delete(instanceId);
      this.#tellCli();
      this.log.push(`${node} ends as ${instanceId}`);
      return;
    }
    if (op === "create") {
      if (this.#known.has(node)) await host.replace();
      host.write("/usr/bin/cloud-init", CLOUD_INIT, 0o755);
      await this.#image(host);
    }
    this.log.push(`${node} boots as ${instanceId}, ${instanceType}`);
    const boot = this.#boot(host, instanceId, op === "create" && this.#known.has(node));
    this.#known.add(node);
    // Who waits hears of a failure; nobody else may be hurt by it.
    boot.catch(() => {});
    this.#boots = [...this.#boots, boot];
  }

  async #off(host: TestHost, instanceId: string): Promise<void> {
    this.#online.delete(instanceId);
    this.#tellCli();
    await Promise.allSettled(this.#boots);
    await host.shutDown();
  }

  async #boot(host: TestHost, instanceId: string, newer: boolean): Promise<void> {
    await host.start();
    await host.run(ADD_USER);
    if (newer) await host.run(NEWER_IMAGE);
    await host.run(["mountpoint", "--quiet", DATA]);
    if (!this.traces.has(instanceId)) {
      this.traces.set(instanceId, { before: await fleetTraces([host]) });
    }
    this.#online.set(instanceId, host);
    this.#tellCli();
  }

  async #look(host: TestHost, instanceId: string): Promise<void> {
    const traces = this.traces.get(instanceId);
    if (!traces || !host.running) return;
    this.traces.set(instanceId, { ...traces, after: await fleetTraces([host]) });
  }

  /** Which instances there are, which of them Systems Manager reaches, and where keys are put that are sent. */
  #tellCli(): void {
    const machines = [...this.#kinds.keys()].map((id): [string, Machine] => {
      const host = this.#online.get(id);
      // Never a path of this machine's own.
      const root = host ? `/proc/${host.pid}/root` : `${this.#accountFile}.off`;
      const where = { address: host?.address ?? "", port: 22, authorizedKeys: root + SENT_KEYS };
      return [id, { ...where, online: host !== undefined }];
    });
    const account = { region: this.#region, machines: Object.fromEntries(machines) };
    writeAccount(this.#accountFile, account);
  }
}
