import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import type { Operation } from "../../../plugin/handler.ts";
import { CredentialsHandler } from "../../../plugin/host/credentials.ts";
import { type Props, reveal } from "../../../plugin/values.ts";
import type { FrontTls } from "./front-load.ts";
import type { TestHost } from "./host.ts";

const operation: Operation & { preview: boolean } = {
  preview: false,
  programRuns: true,
  signal: new AbortController().signal,
  say: () => {},
};

/** Certificates of hosts and of a front on another machine, made and exchanged as a deployment does it. */
export class TestCertificates {
  readonly #handler = new CredentialsHandler();
  readonly #hosts: readonly TestHost[];
  #state: Props = {};
  #step = 0;

  private constructor(hosts: readonly TestHost[]) {
    this.#hosts = hosts;
  }

  static async make(hosts: readonly TestHost[]): Promise<TestCertificates> {
    const made = new TestCertificates(hosts);
    made.#state = (await made.#handler.create(made.#inputs(), operation)).state;
    return made;
  }

  /** The next step of the exchange of the authority. */
  async step(): Promise<void> {
    this.#step += 1;
    this.#state = await this.#handler.update("lab", this.#state, this.#inputs(), operation);
  }

  /** By the names of plans. */
  get secrets(): Record<string, string> {
    return reveal(this.#state.secrets);
  }

  get front(): FrontTls {
    const { secrets } = this;
    const [ca = "", cert = "", key = ""] = ["ca", "front.cert", "front.key"].map(
      (name) => secrets[`tls.${name}`],
    );
    return { ca, cert, key };
  }

  /** Fingerprint of a host's certificate. */
  of({ name }: TestHost): string {
    return new X509Certificate(this.secrets[`tls.${name}.cert`] ?? "").fingerprint256;
  }

  /** Fingerprint of what a server shows to this front; rejects when one of them does not trust the other. */
  shownBy(host: string, port: number, tls: FrontTls = this.front): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, ...tls });
      socket.on("error", reject);
      socket.once("secureConnect", () => {
        const { fingerprint256 } = socket.getPeerCertificate();
        // In TLS 1.3 a client learns that it is refused only with the first answer.
        socket.once("data", () => {
          socket.destroy();
          resolve(fingerprint256);
        });
        socket.once("end", () => reject(new Error("the server ended the connection")));
        socket.write(`GET /healthz HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
      });
    });
  }

  #inputs(): Props {
    const addresses = (host: TestHost) => [host.address, host.name, "127.0.0.1"];
    return {
      fleet: "lab",
      certificates: {
        ...Object.fromEntries(this.#hosts.map((host) => [host.name, addresses(host)])),
        front: ["front"],
      },
      passwords: [],
      sshKeys: [],
      tokens: {},
      certificateDays: 30,
      generation: 0,
      authorityStep: this.#step,
    };
  }
}
