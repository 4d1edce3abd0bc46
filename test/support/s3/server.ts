import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { cacheEntry } from "../../../toolchain/cache.ts";
import { type GoBuild, goBuild, usualGo } from "../../../toolchain/go-build.ts";
import { createProgress } from "../../../toolchain/progress.ts";
import { onPath } from "../debian-package.ts";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-ports.ts";

const BUILD: GoBuild = {
  name: "versitygw",
  // In the name of the cache's entry: another one is built anew.
  version: "1.8.0",
  lock: import.meta.dirname,
  packages: ["github.com/versity/versitygw/cmd/versitygw"],
  output: "versitygw",
  flags: ["-ldflags", "-s -w"],
  instead: "install versitygw",
};

/** Versity's S3 gateway: on PATH, or built from Go modules into the project's cache. */
async function program(): Promise<string> {
  const found = onPath("versitygw");
  if (found) return found;
  const entry = await cacheEntry("versitygw", `${BUILD.version}-${process.arch}`, build, {
    progress: createProgress(),
  });
  return join(entry, "versitygw");
}

async function build(folder: string): Promise<void> {
  const go = usualGo();
  if (!go) {
    throw new Error(
      "a test needs an S3 server, and there is no Go to build one with. Install Go, or versitygw",
    );
  }
  await goBuild(BUILD, go, folder);
}

/** How Amazon's own is called: HTTPS at its usual port, each bucket by a name of its own. */
export interface AsAmazon {
  /** This machine's address that it listens at. */
  readonly address: string;
  readonly region: string;
  /** Of `*.s3.<region>.amazonaws.com`, PEM. */
  readonly certificate: { readonly cert: string; readonly key: string };
}

const HTTPS = 443;

/** A real S3 server that checks signatures, with one bucket; on loopback, or in Amazon's place. */
export class TestS3 {
  readonly base = mkdtempSync(join(tmpdir(), "s3-"));
  readonly bucket = "replicas";
  readonly port: number;
  readonly #amazon: AsAmazon | null;
  readonly credentials = {
    accessKeyId: "test",
    secretAccessKey: randomBytes(16).toString("hex"),
  };
  readonly #program: string;
  #child: ChildProcess | null = null;

  private constructor(port: number, program: string, amazon: AsAmazon | null) {
    this.port = port;
    this.#program = program;
    this.#amazon = amazon;
  }

  /** @param amazon @default plain HTTP on a free port of loopback, buckets by path */
  static async start(amazon: AsAmazon | null = null): Promise<TestS3> {
    const server = new TestS3(amazon ? HTTPS : await freePort(), await program(), amazon);
    server.makeBucket(server.bucket);
    mkdirSync(join(server.base, "sidecar"));
    writeFileSync(join(server.base, "credentials"), JSON.stringify(server.credentials));
    await server.start();
    return server;
  }

  /** One more bucket. */
  makeBucket(name: string): void {
    mkdirSync(join(this.base, "data", name), { recursive: true });
  }

  /** Keys in a bucket. */
  keys(bucket: string): string[] {
    const folder = join(this.base, "data", bucket);
    const all = readdirSync(folder, { recursive: true, withFileTypes: true });
    return all
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
  }

  get settings() {
    return {
      kind: "s3" as const,
      bucket: this.bucket,
      prefix: "",
      region: "us-east-1",
      endpoint: `http://127.0.0.1:${this.port}`,
      credentialsFile: join(this.base, "credentials"),
    };
  }

  async start(): Promise<void> {
    const { accessKeyId, secretAccessKey } = this.credentials;
    const { address = "127.0.0.1", region = "us-east-1" } = this.#amazon ?? {};
    const args = ["--port", `${address}:${this.port}`, "--region", region];
    if (this.#amazon) args.push(...this.#likeAmazon(this.#amazon));
    args.push("posix");
    // Metadata beside the objects: not every disk of a test has extended attributes.
    args.push("--sidecar", join(this.base, "sidecar"), join(this.base, "data"));
    const child = spawn(this.#program, args, {
      env: { ...process.env, ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    let said = "";
    const hear = (text: Buffer) => {
      said = (said + text).slice(-2_000);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`the S3 server ended: ${said}`);
      await accepts(address, this.port);
    });
  }

  #likeAmazon({ region, certificate }: AsAmazon): string[] {
    const { cert, key } = certificate;
    const files = Object.entries({ cert, key }).flatMap(([name, text]) => {
      const path = join(this.base, name);
      writeFileSync(path, text, { mode: 0o600 });
      return [`--${name}`, path];
    });
    return [...files, "--virtual-domain", `s3.${region}.amazonaws.com`];
  }

  /** Takes the bucket away, or brings it back. */
  hide(hidden: boolean): void {
    const bucket = join(this.base, "data", this.bucket);
    const away = join(this.base, "away");
    if (hidden) renameSync(bucket, away);
    else renameSync(away, bucket);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** Resolves when something listens there. */
function accepts(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}
