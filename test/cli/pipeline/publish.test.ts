import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { checkRelease, versionPlaces } from "../../../cli/lib/pipeline/release.ts";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";

interface Kept {
  id: number;
  tag_name: string;
  name: string;
  body: string;
  draft: boolean;
  prerelease: boolean;
  assets: Map<string, Buffer>;
}

/** As much of GitHub's releases as publishing uses. It refuses what GitHub refuses. */
class Hub {
  readonly releases: Kept[] = [];
  readonly tags = new Set<string>();
  mayWrite = true;
  /** So many uploads fail first. */
  failing = 0;
  #port = 0;
  #server: Server | undefined;
  #ids = 0;

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      this.#answer(request).then(([status, body]) => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(body === null ? undefined : JSON.stringify(body));
      });
    });
    await new Promise<void>((done) => this.#server?.listen(0, "127.0.0.1", done));
    ({ port: this.#port } = this.#server.address() as AddressInfo);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  stop = () => this.#server?.close();

  async #answer(request: IncomingMessage): Promise<[number, unknown]> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const { method = "", headers } = request;
    const url = new URL(request.url ?? "", this.url);
    if (headers.authorization !== "Bearer ghs_right") return [401, { message: "Bad credentials" }];
    if (!headers["user-agent"]) return [403, { message: "no user agent" }];
    if (method !== "GET" && !this.mayWrite) {
      return [403, { message: "Resource not accessible by integration" }];
    }
    const upload = /^\/uploads\/(\d+)\/assets$/.exec(url.pathname);
    if (upload) return this.#upload(Number(upload[1]), url.searchParams.get("name"), headers, body);
    const path = url.pathname.replace("/repos/ann/fleet/releases", "");
    if (path === url.pathname) return [404, { message: "Not Found" }];
    const said = (body.length > 0 ? JSON.parse(body.toString()) : {}) as Partial<Kept>;
    if (path === "") {
      if (method === "GET") return [200, this.releases.map((one) => this.#shown(one))];
      return this.#make(said);
    }
    const release = this.releases.find(({ id }) => path === `/${id}`);
    if (!release) return [404, { message: "Not Found" }];
    if (method === "DELETE") {
      this.releases.splice(this.releases.indexOf(release), 1);
      return [204, null];
    }
    Object.assign(release, said);
    return [200, this.#shown(release)];
  }

  #make({ tag_name = "", name = "", body = "", draft = false, prerelease = false }: Partial<Kept>) {
    const out = this.releases.some((one) => one.tag_name === tag_name && !one.draft);
    const refused = (code: string): [number, unknown] => [
      422,
      { message: "Validation Failed", errors: [{ code, field: "tag_name" }] },
    ];
    if (out) return refused("already_exists");
    if (!this.tags.has(tag_name)) return refused("invalid");
    const id = ++this.#ids;
    const made = { id, tag_name, name, body, draft, prerelease, assets: new Map() };
    this.releases.push(made);
    return [201, this.#shown(made)] as [number, unknown];
  }

  #upload(
    id: number,
    name: string | null,
    headers: IncomingMessage["headers"],
    body: Buffer,
  ): [number, unknown] {
    const release = this.releases.find((one) => one.id === id);
    if (!release || name === null) return [404, { message: "Not Found" }];
    if (this.failing > 0) {
      this.failing -= 1;
      return [502, { message: "Server Error" }];
    }
    if (!headers["content-type"] || body.length === 0) return [400, { message: "Bad Size" }];
    if (release.assets.has(name)) return [422, { errors: [{ code: "already_exists" }] }];
    release.assets.set(name, body);
    return [201, { name }];
  }

  #shown({ assets, ...release }: Kept) {
    return {
      ...release,
      html_url: `https://hub/${release.tag_name}`,
      upload_url: `${this.url}/uploads/${release.id}/assets{?name,label}`,
      assets: [...assets.keys()].map((name) => ({ name })),
    };
  }
}

/** What the command needs of the tree. */
const PARTS = ["bootstrap", "cli", "components", "gateway", "plugin", "policies", "stacks"];
const FILES = ["toolchain", "package.json", "package-lock.json", "CHANGELOG.md"];

describe("release --publish, from a clone of a repository with the tag", () => {
  const { version = "" } = versionPlaces()[0] as { version: string };
  const tag = `v${version}`;
  let root: string;
  let clone: string;
  let hub: Hub;
  const git = (cwd: string, ...args: string[]) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], {
      cwd,
      stdio: "pipe",
      env: { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: "1" },
    });

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "fleet-publish-"));
    const [bare, work] = [join(root, "bare.git"), join(root, "work")];
    clone = join(root, "clone");
    for (const part of [...PARTS, ...FILES]) {
      const filter = (path: string) => !/\/(node_modules|dist)$/.test(path);
      cpSync(join(PROJECT_ROOT, part), join(work, part), { recursive: true, filter });
    }
    git(root, "init", "-q", "--bare", bare);
    git(work, "init", "-q", "-b", "main");
    git(work, "add", "-A");
    git(work, "commit", "-q", "-m", "x");
    git(work, "tag", tag);
    git(work, "push", "-q", bare, "main", tag);
    git(root, "clone", "-q", "--branch", tag, bare, clone);
    symlinkSync(join(PROJECT_ROOT, "node_modules"), join(clone, "node_modules"));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  beforeEach(async () => {
    hub = new Hub();
    hub.tags.add(tag);
    await hub.start();
  });
  afterEach(() => hub.stop());

  const release = (env: NodeJS.ProcessEnv = {}, name = tag) =>
    new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
      const args = ["cli/main.ts", "release", name, "--out", join(root, "out"), "--publish"];
      const child = spawn(process.execPath, args, {
        cwd: clone,
        env: {
          ...process.env,
          NO_COLOR: "1",
          GITHUB_TOKEN: "ghs_right",
          GITHUB_REPOSITORY: "ann/fleet",
          GITHUB_API_URL: hub.url,
          ...env,
        },
      });
      const said = { stdout: "", stderr: "" };
      for (const stream of ["stdout", "stderr"] as const) {
        child[stream].setEncoding("utf8").on("data", (text: string) => {
          said[stream] += text;
        });
      }
      child.once("close", (code) => resolve({ code, ...said }));
    });

  test("puts up the changelog's words, the archive and its checksum; a draft until all is there", async () => {
    hub.failing = 1;
    const cut = await release();
    expect([cut.code, cut.stderr]).toEqual([1, expect.stringContaining("it answered 502")]);
    expect(hub.releases).toMatchObject([{ draft: true }]);

    const done = await release();
    expect([done.code, done.stdout]).toEqual([
      0,
      expect.stringContaining(`Published: https://hub/${tag}`),
    ]);
    expect(hub.releases).toMatchObject([
      { tag_name: tag, draft: false, prerelease: false, body: checkRelease(tag).notes },
    ]);
    const assets = hub.releases[0]?.assets as Map<string, Buffer>;
    const archive = `openclaw-fleet-${version}.tar.gz`;
    expect([...assets.keys()].sort()).toEqual(["SHA256SUMS", archive]);
    const sum = createHash("sha256")
      .update(assets.get(archive) as Buffer)
      .digest("hex");
    expect(String(assets.get("SHA256SUMS"))).toBe(`${sum}  ${archive}\n`);
    // What is attested before is what was put up.
    expect(readFileSync(join(root, "out", archive)).equals(assets.get(archive) as Buffer)).toBe(
      true,
    );

    const again = await release();
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringContaining(`${tag} is released already`),
    ]);
    expect(hub.releases).toHaveLength(1);
  }, 120_000);

  test("says what is missing: the right, the token, the tag; and puts up nothing", async () => {
    hub.mayWrite = false;
    const denied = await release();
    expect([denied.code, denied.stderr]).toEqual([1, expect.stringContaining("403")]);
    const tokenless = await release({ GITHUB_TOKEN: "" });
    expect([tokenless.code, tokenless.stderr]).toEqual([
      1,
      expect.stringContaining("GITHUB_TOKEN is not set"),
    ]);
    const wrong = await release({}, "v99.0.0");
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringContaining("v99.0.0 does not agree with the tree"),
    ]);
    git(clone, "tag", "-d", tag);
    try {
      const untagged = await release();
      expect([untagged.code, untagged.stderr]).toEqual([
        1,
        expect.stringContaining("git fetch --tags"),
      ]);
    } finally {
      git(clone, "fetch", "-q", "--tags");
    }
    expect(hub.releases).toEqual([]);
  }, 120_000);
});
