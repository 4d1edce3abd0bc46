import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import {
  type AddressInfo,
  connect,
  createServer as createDoor,
  type Server as Door,
} from "node:net";
import { issue, type KeyPair, makeAuthority } from "../../../plugin/host/authority.ts";
import { RedisServer } from "../../support/redis/server.ts";
import { TestS3 } from "../../support/s3/server.ts";
import type { TestHost } from "./host.ts";
import type { TestHosts } from "./lab.ts";

/** Where a machine of EC2 asks of itself. */
const METADATA = "169.254.169.254";
const TOKEN_PATH = "/latest/api/token";
const ROLE_PATH = "/latest/meta-data/iam/security-credentials/";
const ROLE = "fleet-hosts";
const CA_FILE = "/etc/ssl/amazon.pem";
const DAY_MS = 86_400_000;

/**
 * What machines of a lab reach of AWS by themselves: S3 under Amazon's own names, by a server that checks
 * signatures; the metadata of a machine, which gives the credentials of its role for a session token only; and the
 * stack's cache, by a real Redis with TLS.
 */
export class AwsServices {
  readonly s3: TestS3;
  readonly #machine: string;
  readonly #region: string;
  readonly #authority: KeyPair;
  readonly #metadata: Server;
  #cache: { readonly redis: RedisServer; readonly door: Door } | null = null;

  private constructor(machine: string, region: string, authority: KeyPair, s3: TestS3) {
    this.#machine = machine;
    this.#region = region;
    this.#authority = authority;
    this.s3 = s3;
    this.#metadata = metadata(s3.credentials);
  }

  static async start({ machine }: TestHosts, region: string): Promise<AwsServices> {
    const now = new Date();
    const authority = await makeAuthority("amazon", now);
    const addresses = [`*.s3.${region}.amazonaws.com`];
    const leaf = { fleet: "amazon", name: "s3", addresses, days: 2 };
    const certificate = await issue(authority, leaf, now);
    const s3 = await TestS3.start({ address: machine, region, certificate });
    const made = new AwsServices(machine, region, authority, s3);
    await new Promise<void>((resolve) => made.#metadata.listen(0, machine, resolve));
    return made;
  }

  /**
   * Puts on a machine that is off what leads it here: names, a certificate to trust, a way to its metadata.
   * @param cache address of the stack's cache, with its user; null: it has none
   */
  async lead(host: TestHost, bucket: string, cache: URL | null): Promise<void> {
    this.s3.makeBucket(bucket);
    if (cache && !this.#cache) await this.#serve(cache);
    const names = [
      `${bucket}.s3.${this.#region}.amazonaws.com`,
      ...(cache ? [cache.hostname] : []),
    ];
    const lines = [
      `127.0.0.1 localhost ${host.name}`,
      ...names.map((name) => `${this.#machine} ${name}`),
    ];
    host.write("/etc/hosts", `${lines.join("\n")}\n`);
    host.write(CA_FILE, this.#authority.cert);
    host.write(
      "/etc/systemd/system.conf.d/amazon.conf",
      `[Manager]\nDefaultEnvironment=NODE_EXTRA_CA_CERTS=${CA_FILE}\n`,
    );
    host.write(
      "/etc/systemd/network/10-host0.network.d/metadata.conf",
      `[Route]\nDestination=${METADATA}/32\nGateway=${this.#machine}\n`,
    );
    const { port } = this.#metadata.address() as AddressInfo;
    host.write(
      "/etc/nftables.conf",
      `table ip metadata {
  chain out {
    type nat hook output priority -100;
    ip daddr ${METADATA} tcp dport 80 dnat to ${this.#machine}:${port}
  }
}
`,
    );
    host.write(
      "/etc/systemd/system/metadata.service",
      "[Service]\nType=oneshot\nExecStart=/usr/sbin/nft -f /etc/nftables.conf\n",
    );
    host.write(
      "/etc/systemd/system/ssh.service.d/metadata.conf",
      "[Unit]\nWants=metadata.service\nAfter=metadata.service\n",
    );
  }

  async #serve({ hostname, port, username, password }: URL): Promise<void> {
    const leaf = { fleet: "amazon", name: "cache", addresses: [hostname], days: 2 };
    const tls = await issue(this.#authority, leaf, new Date());
    const user = `user ${username || "default"} on >${decodeURIComponent(password)} ~* &* +@all`;
    const redis = await RedisServer.start({ tls, config: [user] });
    const door = await openDoor({ host: this.#machine, port: Number(port) }, redis);
    this.#cache = { redis, door };
  }

  async close(): Promise<void> {
    await this.s3.remove();
    this.#metadata.closeAllConnections();
    await new Promise<void>((resolve) => this.#metadata.close(() => resolve()));
    this.#cache?.door.close();
    await this.#cache?.redis.close();
  }
}

/** Another address of a server. */
async function openDoor(
  at: { readonly host: string; readonly port: number },
  to: { readonly host: string; readonly port: number },
): Promise<Door> {
  const door = createDoor((client) => {
    const server = connect(to.port, to.host);
    const end = () => {
      server.destroy();
      client.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    client.pipe(server).pipe(client);
  });
  await new Promise<void>((resolve) => door.listen(at.port, at.host, resolve));
  return door;
}

/** The second version of the service: nothing without a token that was asked for with PUT. */
function metadata({ accessKeyId, secretAccessKey }: TestS3["credentials"]): Server {
  const token = randomBytes(16).toString("hex");
  const credentials = () => ({
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Expiration: new Date(Date.now() + DAY_MS).toISOString(),
  });
  return createServer(({ method, url, headers }, response) => {
    if (method === "PUT" && url === TOKEN_PATH) response.end(token);
    else if (headers["x-aws-ec2-metadata-token"] !== token) response.writeHead(401).end();
    else if (url === ROLE_PATH) response.end(ROLE);
    else if (url === ROLE_PATH + ROLE) response.end(JSON.stringify(credentials()));
    else response.writeHead(404).end();
  });
}
