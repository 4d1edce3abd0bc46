import type { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterEach, beforeEach, expect, it } from "vitest";
import { EtcdClient } from "../../../gateway/leases/etcd-client.ts";
import { StoreUnavailable } from "../../../gateway/leases/store.ts";
import { issue, makeAuthority } from "../../../plugin/host/authority.ts";
import { eventually } from "../../support/eventually.ts";

/** Servers that behave like members in good and bad days; the real one is in etcd/. */
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function listen(server: Server, scheme = "http"): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const member = (answer: RequestListener) => listen(createServer(answer));
const says =
  (body: object, status = 200): RequestListener =>
  (_, response) => {
    response.writeHead(status).end(JSON.stringify(body));
  };
/** Takes connections and never says a word. */
async function silent(): Promise<string> {
  const server = createTcpServer();
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

let warnings: string[];
beforeEach(() => {
  warnings = [];
});
function client(
  endpoints: string[],
  tls: ConstructorParameters<typeof EtcdClient>[0]["tls"] = null,
) {
  const made = new EtcdClient({
    endpoints,
    tls,
    lookEveryMs: 20,
    warn: (message) => warnings.push(message),
  });
  closers.push(() => made.close());
  return made;
}
const NOWHERE = "http://127.0.0.1:1";

it("asks every member before it gives up, and says what each of them said", async () => {
  const [quiet, noLeader] = [
    await silent(),
    await member(says({ code: 14, message: "etcdserver: no leader" }, 503)),
  ];
  const failed = client([NOWHERE, quiet, noLeader]).call("/v3/kv/range", {}, 600);
  await expect(failed).rejects.toBeInstanceOf(StoreUnavailable);
  await expect(failed).rejects.toThrow(/ECONNREFUSED/);
  await expect(failed).rejects.toThrow(`${quiet}: no answer within 600 ms`);
  await expect(failed).rejects.toThrow(`${noLeader}: etcdserver: no leader`);
});

it("does not wait for one that is silent, and asks it last the next time", async () => {
  const quiet = await silent();
  let asked = 0;
  const good = await member((request, response) => {
    asked += 1;
    says({ n: asked })(request, response);
  });
  const both = client([quiet, good]);
  expect(await both.call("/x", {}, 20_000 / 2)).toEqual({ n: 1 });
  // Asked first now: no more than its own answer is waited for, whatever the limit.
  expect(await both.call("/x", {}, 600_000)).toEqual({ n: 2 });
});

it("takes a slow answer as well as one by another", async () => {
  const held: (() => void)[] = [];
  const slow = await member((_, response) => {
    held.push(() => response.end('{"who":"slow"}'));
  });
  const other = await silent();
  const answer = client([slow, other]).call("/x", {}, 5_000);
  await eventually(() => expect(held).toHaveLength(1));
  // The second one is asked meanwhile and does not answer either.
  held[0]?.();
  expect(await answer).toEqual({ who: "slow" });
});

it("goes round again while there is time: an election ends", async () => {
  let asked = 0;
  const electing = await member((request, response) => {
    asked += 1;
    const answer = asked < 4 ? says({ code: 14, message: "no leader" }, 503) : says({ done: true });
    answer(request, response);
  });
  expect(await client([electing]).call("/x", {}, 20_000)).toEqual({ done: true });
});

it("goes round the others while one is silent: an election among them ends", async () => {
  let asked = 0;
  const electing = () =>
    member((request, response) => {
      asked += 1;
      const no = says({ code: 14, message: "no leader" }, 503);
      (asked < 5 ? no : says({ done: true }))(request, response);
    });
  const order = [await silent(), await electing(), await electing()];
  expect(await client(order).call("/x", {}, 3_000)).toEqual({ done: true });
});

it("does not repeat what no member would take", async () => {
  let asked = 0;
  const refusing = await member((request, response) => {
    asked += 1;
    says({ code: 3, message: "etcdserver: too many operations in txn request" }, 400)(
      request,
      response,
    );
  });
  const failed = client([refusing, refusing]).call("/x", {}, 60_000);
  await expect(failed).rejects.toThrow(/too many operations/);
  expect(asked).toBe(1);
});

it("says what to do about a full database", async () => {
  const full = await member(
    says({ code: 8, message: "etcdserver: mvcc: database space exceeded" }, 429),
  );
  await expect(client([full]).call("/x", {}, 300)).rejects.toThrow(/full: .*defragment/);
});

it("uses new certificates once their files have changed, and the old ones while they cannot be read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "etcd-client-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const now = new Date();
  const authority = await makeAuthority("test", now);
  const leaf = (name: string) =>
    issue(authority, { fleet: "test", name, addresses: ["127.0.0.1"], days: 2 }, now);
  const tls = { ca: join(folder, "ca"), cert: join(folder, "cert"), key: join(folder, "key") };
  const write = async (name: string) => {
    const { cert, key } = await leaf(name);
    writeFileSync(tls.key, key);
    writeFileSync(tls.cert, cert);
  };
  writeFileSync(tls.ca, authority.cert);
  await write("first");
  const own = await leaf("server");
  const server = createTlsServer(
    { ...own, ca: authority.cert, requestCert: true, minVersion: "TLSv1.3" },
    (request, response) => {
      const peer = (request.socket as TLSSocket).getPeerX509Certificate() as X509Certificate;
      response.end(JSON.stringify({ caller: /CN=(.*)/.exec(peer.subject)?.[1] }));
    },
  );
  const url = await listen(server as unknown as Server, "https");
  const connected = client([url], tls);
  const caller = async () =>
    ((await connected.call("/x", {}, 10_000)) as { caller: string }).caller;
  expect(await caller()).toBe("first");
  rmSync(tls.cert);
  await eventually(() => expect(warnings.join()).toContain("going on with those read before"));
  expect(await caller()).toBe("first");
  // Caught between the two files: a key that does not fit the certificate.
  warnings.length = 0;
  writeFileSync(tls.cert, (await leaf("misfit")).cert);
  await eventually(() => expect(warnings.join()).toMatch(/mismatch/));
  expect(await caller()).toBe("first");
  await write("second");
  await eventually(async () => expect(await caller()).toBe("second"));
  expect(readFileSync(tls.ca, "utf8")).toBe(authority.cert);
});

it("certificates that are missing at first are no crash, and are taken once they are there", async () => {
  const tls = { ca: "/nowhere/ca.pem", cert: "/nowhere/c", key: "/nowhere/k" };
  const failed = client(["https://127.0.0.1:1"], tls).call("/x", {}, 500);
  await expect(failed).rejects.toBeInstanceOf(StoreUnavailable);
  await expect(failed).rejects.toThrow(/certificates for etcd cannot be read: .*nowhere/);
});
