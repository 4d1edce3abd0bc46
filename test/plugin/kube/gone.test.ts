import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Interrupted, type Operation } from "../../../plugin/handler.ts";
import { GoneHandler } from "../../../plugin/kube/gone.ts";
import { type Props, UNKNOWN } from "../../../plugin/values.ts";
import { selfSigned } from "../../support/certificate.ts";
import { FakeApiServer } from "./api-server.ts";

const PLENTY = 60;
let api: FakeApiServer;
let endpoint: string;
let dir: string;
let said: string[];
let abort: AbortController;
const handler = new GoneHandler(5);

beforeEach(async () => {
  api = new FakeApiServer();
  api.kinds.set("karpenter.sh/v1", {
    NodeClaim: { plural: "nodeclaims", namespaced: false },
    NodePool: { plural: "nodepools", namespaced: false },
  });
  api.kinds.set("v1", {
    PersistentVolumeClaim: { plural: "persistentvolumeclaims", namespaced: true },
  });
  endpoint = await api.start();
  dir = mkdtempSync(join(tmpdir(), "gone-"));
  said = [];
  abort = new AbortController();
});
afterEach(async () => {
  await api.stop();
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

/** A command that prints one token after the other, and counts its runs. */
function tokens(...printed: string[]): { command: string; args: string[] } {
  const script = join(dir, "token.mjs");
  const runs = join(dir, "runs");
  writeFileSync(runs, "0");
  writeFileSync(
    script,
    `import { readFileSync, writeFileSync } from "node:fs";
     const run = Number(readFileSync(${JSON.stringify(runs)}, "utf8"));
     writeFileSync(${JSON.stringify(runs)}, String(run + 1));
     const token = ${JSON.stringify(printed)}[Math.min(run, ${printed.length - 1})];
     const expirationTimestamp = new Date(Date.now() + 900_000).toISOString();
     const { apiVersion } = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
     console.log(JSON.stringify({ kind: "ExecCredential", apiVersion, status: { token, expirationTimestamp } }));`,
  );
  return { command: process.execPath, args: [script] };
}
const runs = () => Number(readFileSync(join(dir, "runs"), "utf8"));

function inputs(rest: Props = {}): Props {
  return {
    cluster: "prod-cluster",
    endpoint,
    certificateAuthority: api.certificateAuthority,
    token: rest.token ?? tokens("good"),
    apiVersion: "karpenter.sh/v1",
    kind: "NodeClaim",
    deadlineSeconds: PLENTY,
    ...rest,
  };
}

const operation = (): Operation => ({
  signal: abort.signal,
  say: (line) => said.push(line),
  programRuns: false,
});
const end = (props: Props) => handler.delete("id", props, operation());
const failure = (props: Props) =>
  end(props).then(
    () => "",
    (error: Error) => error.message,
  );

describe("delete", () => {
  test("returns at once when nothing is there, and says nothing", async () => {
    await end(inputs());
    expect(said).toEqual([]);
    expect(api.asked).toEqual([
      "/apis/karpenter.sh/v1",
      "/apis/karpenter.sh/v1/nodeclaims?limit=500",
    ]);
  });

  test("waits until the last is gone and names what is left meanwhile", async () => {
    api.objects.set("nodeclaims", [{ name: "gateways-b" }, { name: "gateways-a" }]);
    api.onList = () => {
      if (said.length === 2) api.objects.get("nodeclaims")?.splice(0, 1);
      if (said.length === 4) api.objects.get("nodeclaims")?.splice(0, 1);
    };
    await end(inputs());
    const lines = said.map((line) => line.replace(/ \(\d+ s of 60 s\)$/, ""));
    expect(lines).toEqual([
      ...Array(2).fill("waiting for 2 NodeClaims: gateways-a, gateways-b"),
      ...Array(2).fill("waiting for 1 NodeClaim: gateways-a"),
    ]);
    expect(said[0]).toMatch(/ \(\d+ s of 60 s\)$/);
  });

  test("gives up at its deadline, names what is left, and says what to do", async () => {
    const names = Array.from({ length: 7 }, (_, i) => ({ name: `gateways-${i}` }));
    api.objects.set("nodeclaims", names);
    const message = await failure(inputs({ deadlineSeconds: 0.05 }));
    expect(message).toMatch(/still has 7 NodeClaims: gateways-0, .*gateways-4 and 2 more\./);
    expect(message).toMatch(/kubectl describe nodeclaim\.karpenter\.sh.*run destroy again/);
  });

  test("looks at the objects that its labels choose only", async () => {
    const labels = { "karpenter.sh/nodepool": "gateways" };
    api.objects.set("nodeclaims", [{ name: "gpu-a", labels: { "karpenter.sh/nodepool": "gpu" } }]);
    await end(inputs({ labelSelector: "karpenter.sh/nodepool=gateways" }));
    api.objects.get("nodeclaims")?.push({ name: "gateways-a", labels });
    const props = inputs({
      labelSelector: "karpenter.sh/nodepool=gateways",
      deadlineSeconds: 0.05,
    });
    expect(await failure(props)).toMatch(/still has 1 NodeClaim: gateways-a\./);
  });

  test("looks into one namespace where one is named", async () => {
    const claims = [{ name: "theirs/data-0" }];
    api.objects.set("persistentvolumeclaims", claims);
    const props = { apiVersion: "v1", kind: "PersistentVolumeClaim", deadlineSeconds: 0.05 };
    await end(inputs({ ...props, namespace: "fleet" }));
    expect(await failure(inputs(props))).toMatch(
      /still has 1 PersistentVolumeClaim: theirs\/data-0/,
    );
    claims.push({ name: "fleet/data-0" });
    const message = await failure(inputs({ ...props, namespace: "fleet" }));
    expect(message).toMatch(/: fleet\/data-0\. .*kubectl -n fleet describe persistentvolumeclaim,/);
  });

  test("counts over all pages", async () => {
    api.pageSize = 2;
    api.objects.set(
      "nodeclaims",
      ["a", "b", "c", "d", "e"].map((name) => ({ name })),
    );
    const message = await failure(inputs({ deadlineSeconds: 0.05 }));
    expect(message).toMatch(/still has 5 NodeClaims: a, b, c, d, e\./);
  });

  test.each([
    ["its group", () => api.kinds.delete("karpenter.sh/v1")],
    ["the kind", () => api.kinds.set("karpenter.sh/v1", {})],
    [
      "the list",
      () => api.kinds.set("karpenter.sh/v1", { NodeClaim: { plural: "x", namespaced: false } }),
    ],
  ])("takes a kind as gone when the API does not know %s", async (what, take) => {
    if (what === "the list") api.onList = () => api.kinds.delete("karpenter.sh/v1");
    else api.objects.set("nodeclaims", [{ name: "a" }]);
    take();
    await end(inputs());
  });

  test("gets one new token when the API refuses the first", async () => {
    await end(inputs({ token: tokens("stale", "good") }));
    expect(runs()).toBe(2);
  });

  test("uses a token until it expires", async () => {
    api.objects.set("nodeclaims", [{ name: "a" }]);
    api.onList = () => {
      if (said.length === 3) api.objects.delete("nodeclaims");
    };
    await end(inputs());
    expect(runs()).toBe(1);
  });

  test("ends at once when a new token is refused as well: waiting mends no missing right", async () => {
    const message = await failure(inputs({ token: tokens("stale", "stale") }));
    expect(message).toMatch(/answered 401.*cluster\.admins/);
    expect(runs()).toBe(2);
  });

  test("ends at once when the caller may not look", async () => {
    api.status = 403;
    expect(await failure(inputs())).toMatch(/answered 403.*cluster\.admins/);
  });

  test("waits through an API that answers 500 for a while", async () => {
    api.status = 500;
    const done = end(inputs());
    while (said.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(said[0]).toMatch(/^cannot see NodeClaims: .*answered 500/);
    api.status = null;
    await done;
  });

  test("an API that cannot be reached is an error at the deadline, with the way out", async () => {
    const props = inputs({ deadlineSeconds: 0.05 });
    await api.stop();
    const message = await failure(props);
    expect(message).toMatch(/could not be asked for 0\.05 s.*ECONNREFUSED/);
    expect(message).toMatch(/fleet tunnel.*kubernetes\.io\/cluster\/prod-cluster.*state delete/);
  });

  test("goes through HTTPS_PROXY where it is set, and believes only the API's certificate there", async () => {
    const asked: string[] = [];
    const proxy = createServer().on("connect", (request, client: Socket) => {
      asked.push(request.url ?? "");
      const upstream = connect(Number(new URL(endpoint).port), "127.0.0.1", () => {
        client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        client.pipe(upstream).pipe(client);
      });
      // What nobody reads any more never ends.
      upstream.once("close", () => client.resume());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const way = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    vi.stubEnv("HTTPS_PROXY", way);
    vi.stubEnv("NO_PROXY", "");
    await end(inputs());
    const stranger = Buffer.from(selfSigned().cert).toString("base64");
    const message = await failure(
      inputs({ certificateAuthority: stranger, deadlineSeconds: 0.05 }),
    );
    vi.unstubAllEnvs();
    await new Promise((resolve) => proxy.close(resolve));
    expect(message).toMatch(/certificate/);
    expect(asked.length).toBeGreaterThan(2);
    expect(new Set(asked)).toEqual(new Set([new URL(endpoint).host]));
  });

  test("a certificate of somebody else is not believed", async () => {
    const other = new FakeApiServer();
    const props = inputs({ endpoint: await other.start(), deadlineSeconds: 0.05 });
    props.certificateAuthority = Buffer.from("nonsense").toString("base64");
    const message = await failure(props);
    await other.stop();
    expect(message).toMatch(/certificate|PEM/i);
    expect(other.asked).toEqual([]);
  });

  test("a missing token command is named, and nobody waits for it", async () => {
    const message = await failure(inputs({ token: { command: "no-such-aws", args: [] } }));
    expect(message).toMatch(/no-such-aws was not found.*Install it/);
  });

  test("a token command that fails shows what it said, and no token", async () => {
    const script = join(dir, "fails.mjs");
    writeFileSync(
      script,
      `console.log("good"); console.error("session expired"); process.exit(1);`,
    );
    const message = await failure(inputs({ token: { command: process.execPath, args: [script] } }));
    expect(message).toMatch(/fails\.mjs failed: session expired/);
    expect(message).not.toMatch(/good/);
  });

  test("a token command that prints something else is refused without showing it", async () => {
    const script = join(dir, "odd.mjs");
    writeFileSync(script, `console.log(JSON.stringify({ secret: "hidden" }));`);
    const message = await failure(inputs({ token: { command: process.execPath, args: [script] } }));
    expect(message).toMatch(/no Kubernetes ExecCredential/);
    expect(message).not.toMatch(/hidden/);
  });

  test("an interruption ends the wait", async () => {
    api.objects.set("nodeclaims", [{ name: "a" }]);
    const done = end(inputs());
    const seen = expect(done).rejects.toThrow(Interrupted);
    while (said.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort();
    await seen;
  });
});

describe("the rest of its life", () => {
  const preview = { ...{ signal: new AbortController().signal, say: () => {}, programRuns: true } };

  test("makes nothing and asks nobody", async () => {
    const props = inputs();
    const made = await handler.create(props, { ...preview, preview: false });
    expect(made).toEqual({ id: "prod-cluster/NodeClaim", state: props });
    expect((await handler.create(props, { ...preview, preview: true })).id).toBe("");
    expect(await handler.read("id", props, props)).toEqual({ state: props, inputs: props });
    expect(api.asked).toEqual([]);
  });

  test("any change is taken over in place", async () => {
    const [before, after] = [inputs(), inputs({ endpoint: "https://other", deadlineSeconds: 9 })];
    const diff = handler.diff(before, before, after);
    expect(diff.replaces).toEqual([]);
    expect(diff.changes.map((c) => c.path)).toEqual(["deadlineSeconds", "endpoint"]);
    expect(await handler.update("id", before, after)).toEqual(after);
  });

  test("inputs of a cluster that is not there yet pass", () => {
    const props = inputs({ endpoint: UNKNOWN, certificateAuthority: UNKNOWN });
    expect(handler.check(undefined, props)).toEqual({ inputs: props, failures: [] });
  });

  test.each([
    [{ endpoint: "http://plain" }, "endpoint"],
    [{ deadlineSeconds: 0 }, "deadlineSeconds"],
    [{ kind: "" }, "kind"],
  ])("%j is refused", (wrong, property) => {
    const { failures } = handler.check(undefined, inputs(wrong));
    expect(failures.map((f) => f.property)).toEqual([property]);
  });
});
