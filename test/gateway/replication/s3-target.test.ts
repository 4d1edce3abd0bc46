import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withSecrets } from "../../../components/host/secrets.ts";
import { HOST_PATHS, HOST_PORTS, type HostFile } from "../../../components/host/types.ts";
import { bucketReplication, planBucketAccess } from "../../../components/replica-target/bucket.ts";
import { credentialSource } from "../../../gateway/replication/s3-credentials.ts";
import { signed } from "../../../gateway/replication/s3-sign.ts";
import { openS3Target, readPage } from "../../../gateway/replication/s3-target.ts";
import { replicationConfig } from "../../../gateway/replication/settings.ts";
import { TargetUnavailable } from "../../../gateway/replication/target.ts";
import { replicaTargetContract } from "../../contracts/replica-target.ts";
import { TestS3 } from "../../support/s3/server.ts";

let s3: TestS3;
beforeAll(async () => {
  s3 = await TestS3.start();
}, 600_000);
afterAll(() => s3?.remove());

let shards = 0;
replicaTargetContract("S3", async () => {
  const prefix = `contract-${++shards}/`;
  let hidden = false;
  return {
    open: () => openS3Target({ ...s3.settings, prefix })("s1"),
    async block() {
      s3.hide(true);
      hidden = true;
    },
    async close() {
      if (hidden) s3.hide(false);
    },
  };
});

describe("a bucket", () => {
  it("lists more than one page", async () => {
    const target = openS3Target({ ...s3.settings, prefix: "pages/" })("s1");
    const keys = Array.from({ length: 1_050 }, (_, n) => `many/${String(n).padStart(4, "0")}`);
    for (let at = 0; at < keys.length; at += 16) {
      const some = keys.slice(at, at + 16);
      await Promise.all(some.map((key) => target.put(key, Buffer.from(key), 1)));
    }
    expect((await target.list("many/")).map(({ key }) => key).sort()).toEqual(keys);
    await target.remove(keys, 1);
    expect(await target.list("many/")).toEqual([]);
  });

  it("is out of reach when the server is, or does not know the key", async () => {
    const target = openS3Target(s3.settings)("s1");
    await target.put("a/1", Buffer.from("one"), 1);
    const wrong = join(s3.base, "wrong");
    writeFileSync(wrong, JSON.stringify({ ...s3.credentials, secretAccessKey: "another" }));
    const stranger = openS3Target({ ...s3.settings, credentialsFile: wrong })("s1");
    await expect(stranger.get("a/1")).rejects.toBeInstanceOf(TargetUnavailable);
    await expect(stranger.get("a/1")).rejects.toThrow(/SignatureDoesNotMatch/);
    await s3.kill();
    await expect(target.get("a/1")).rejects.toBeInstanceOf(TargetUnavailable);
    await s3.start();
    expect(await target.get("a/1")).toEqual(Buffer.from("one"));
  });

  it("takes new credentials from its file", async () => {
    const path = join(s3.base, "rotated");
    writeFileSync(path, JSON.stringify({ ...s3.credentials, secretAccessKey: "old" }));
    const target = openS3Target({ ...s3.settings, credentialsFile: path })("s1");
    await expect(target.list("")).rejects.toBeInstanceOf(TargetUnavailable);
    writeFileSync(path, JSON.stringify(s3.credentials));
    await expect(target.list("")).resolves.toBeDefined();
  });
});

it("of a stack on hosts is opened by what its hosts are given", async () => {
  const { bucket, region, endpoint } = s3.settings;
  const { accessKeyId, secretAccessKey } = s3.credentials;
  const etc = join(s3.base, "etc");
  const self = { name: "a", address: "192.0.2.1" };
  const paths = { ...HOST_PATHS, release: "", etc };
  const context = { fleet: "vps", self, hosts: [self], paths, ports: HOST_PORTS };
  const given = { bucket, region, endpoint, accessKeyId, secretAccessKey: "{{secret key}}" };
  const { files = {} } = planBucketAccess(context, given);
  const { target } = replicationConfig.parse(bucketReplication(context, given));
  if (target.kind !== "s3") throw new Error(`it is ${target.kind}`);
  const path = target.credentialsFile ?? "";
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, withSecrets(files[path] as HostFile, { key: secretAccessKey }));
  await openS3Target(target)("s1").put("a/1", Buffer.from("one"), 1);
  expect(s3.keys(bucket)).toContain("vps/s1/a/1");
});

it("signs as Amazon's own example does", () => {
  // docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "GET Bucket Lifecycle"
  const headers = signed(
    {
      method: "GET",
      host: "examplebucket.s3.amazonaws.com",
      path: "/",
      query: { lifecycle: "" },
      headers: {},
      body: Buffer.alloc(0),
    },
    {
      accessKeyId: "AKIAIOSFODNN7EXAMPLE",
      secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    },
    "us-east-1",
    new Date("2013-05-24T00:00:00Z"),
  );
  expect(headers.authorization).toContain(
    "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
  );
});

it("refuses a listing that is none, and reads tokens with escapes", () => {
  expect(() => readPage("<html>a proxy</html>")).toThrow(/cannot be read/);
  const page = readPage(
    "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b=</NextContinuationToken></ListBucketResult>",
  );
  expect(page).toEqual({ objects: [], next: "a&b=" });
});

describe("credentials of AWS's own", () => {
  const answer = {
    AccessKeyId: "id",
    SecretAccessKey: "secret",
    Token: "session",
    Expiration: new Date(Date.now() + 3_600_000).toISOString(),
  };
  let server: Server;
  const asked: string[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      const { url = "", headers } = request;
      if (url === "/latest/api/token") return response.end("token");
      const proven =
        headers["x-aws-ec2-metadata-token"] === "token" || headers.authorization === "pod";
      if (!proven) return response.writeHead(401).end();
      if (url === "/latest/meta-data/iam/security-credentials/") return response.end("role\n");
      return response.end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterAll(() => server.close());
  const url = () => `http://127.0.0.1:${(server.address() as { port: number }).port}`;

  it("come from the machine, and are kept as long as they last", async () => {
    const source = credentialSource(undefined, {}, url());
    const expected = { accessKeyId: "id", secretAccessKey: "secret", sessionToken: "session" };
    expect(await source()).toEqual(expected);
    expect(await source()).toEqual(expected);
    expect(asked.splice(0)).toEqual([
      "PUT /latest/api/token",
      "GET /latest/meta-data/iam/security-credentials/",
      "GET /latest/meta-data/iam/security-credentials/role",
    ]);
  });

  it("come from the pod before the machine, and from the environment before both", async () => {
    const token = join(s3.base, "token");
    writeFileSync(token, "pod\n");
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url()}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: token,
    };
    expect((await credentialSource(undefined, env)()).accessKeyId).toBe("id");
    const both = { ...env, AWS_ACCESS_KEY_ID: "own", AWS_SECRET_ACCESS_KEY: "key" };
    expect((await credentialSource(undefined, both)()).accessKeyId).toBe("own");
  });
});
