import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { expect, test } from "vitest";
import { CredentialsHandler } from "../../../plugin/host/credentials.ts";
import { isSecret, type Props, reveal, UNKNOWN } from "../../../plugin/values.ts";

const INPUTS = {
  fleet: "vps",
  certificates: { a: ["127.0.0.1", "a.example.net", "localhost"], b: ["10.0.0.2", "127.0.0.1"] },
  passwords: ["redis.fleet"],
  sshKeys: ["sftp.a"],
  tokens: {},
  certificateDays: 600,
  generation: 0,
  authorityStep: 0,
};
const OP = {
  preview: false,
  signal: new AbortController().signal,
  say: () => {},
  programRuns: true,
};

class Clock {
  now = new Date("2026-11-21T12:00:00Z");
  forward(days: number): void {
    this.now = new Date(this.now.getTime() + days * 86_400_000);
  }
}

function handler() {
  const clock = new Clock();
  return { clock, credentials: new CredentialsHandler(() => clock.now) };
}

const secretsOf = (state: Props) => reveal<Record<string, string>>(state.secrets);

test("everything a plan names is made, and nothing but names and dates is readable in the state", async () => {
  const { credentials } = handler();
  const { state } = await credentials.create(INPUTS, OP);
  const secrets = secretsOf(state);
  expect(Object.keys(secrets).sort()).toEqual([
    "redis.fleet",
    "sftp.a.key",
    "sftp.a.pub",
    "tls.a.cert",
    "tls.a.key",
    "tls.b.cert",
    "tls.b.key",
    "tls.ca",
    "token.admin",
    "token.client",
    "token.client.0",
    "token.peer",
  ]);
  expect(isSecret(state.secrets) && isSecret(state.kept)).toBe(true);
  const { secrets: _s, kept: _k, ...open } = state;
  for (const [name, value] of Object.entries(secrets)) {
    if (name !== "tls.ca") expect(JSON.stringify(open)).not.toContain(value);
  }
});

test("what was made stays: another host gets a certificate and no other changes", async () => {
  const { credentials } = handler();
  const { state } = await credentials.create(INPUTS, OP);
  const more = { ...INPUTS, certificates: { ...INPUTS.certificates, c: ["10.0.0.3"] } };
  const next = await credentials.update("vps", state, more, OP);
  const { "tls.c.cert": cert, "tls.c.key": _key, ...rest } = secretsOf(next);
  expect(cert).toContain("BEGIN CERTIFICATE");
  expect(rest).toEqual(secretsOf(state));
});

test("a host with another address gets another certificate, and the others keep theirs", async () => {
  const { credentials } = handler();
  const { state } = await credentials.create(INPUTS, OP);
  const moved = { ...INPUTS, certificates: { ...INPUTS.certificates, b: ["10.0.0.9"] } };
  const next = secretsOf(await credentials.update("vps", state, moved, OP));
  expect(next["tls.b.cert"]).not.toBe(secretsOf(state)["tls.b.cert"]);
  expect(next["tls.a.cert"]).toBe(secretsOf(state)["tls.a.cert"]);
});

test("own tokens go before made ones, and a made one stays when its own is taken away and put back", async () => {
  const { credentials } = handler();
  const own = "x".repeat(30);
  const { state } = await credentials.create(INPUTS, OP);
  const next = await credentials.update("vps", state, { ...INPUTS, tokens: { admin: own } }, OP);
  expect(secretsOf(next)["token.admin"]).toBe(own);
  expect(secretsOf(next)["token.peer"]).toBe(secretsOf(state)["token.peer"]);
});

test("certificates are due in the last third of their life, which a diff shows and an update ends", async () => {
  const { clock, credentials } = handler();
  const { state } = await credentials.create(INPUTS, OP);
  clock.forward(399);
  expect(credentials.diff(state, INPUTS, INPUTS).changes).toEqual([]);
  clock.forward(2);
  expect(credentials.diff(state, INPUTS, INPUTS).changes).toEqual([
    { path: "expires", kind: "update" },
  ]);
  const next = await credentials.update("vps", state, INPUTS, OP);
  expect(secretsOf(next)["tls.a.cert"]).not.toBe(secretsOf(state)["tls.a.cert"]);
  expect(secretsOf(next)["tls.ca"]).toBe(secretsOf(state)["tls.ca"]);
  expect(credentials.diff(next, INPUTS, INPUTS).changes).toEqual([]);
});

test("a new generation makes new keys by the same authority", async () => {
  const { credentials } = handler();
  const { state } = await credentials.create(INPUTS, OP);
  const next = await credentials.update("vps", state, { ...INPUTS, generation: 1 }, OP);
  expect(secretsOf(next)["tls.a.key"]).not.toBe(secretsOf(state)["tls.a.key"]);
  expect(secretsOf(next)["tls.ca"]).toBe(secretsOf(state)["tls.ca"]);
});

test("at every step of an exchange of the authority hosts of this step and the one before know each other", async () => {
  const { credentials } = handler();
  const steps = [(await credentials.create(INPUTS, OP)).state];
  for (let step = 1; step <= 6; step++) {
    const before = steps.at(-1) as Props;
    steps.push(await credentials.update("vps", before, { ...INPUTS, authorityStep: step }, OP));
  }
  for (const [i, state] of steps.entries()) {
    const here = secretsOf(state);
    await greet(here, "a", here, "b");
    const before = steps[i - 1];
    if (!before) continue;
    await greet(here, "a", secretsOf(before), "b");
    await greet(secretsOf(before), "a", here, "b");
  }
  const [first, , , exchanged] = steps.map(secretsOf);
  await expect(greet(first ?? {}, "a", exchanged ?? {}, "b")).rejects.toThrow();
});

test("a step of the exchange is never left out", () => {
  const { credentials } = handler();
  const { failures } = credentials.check(INPUTS, { ...INPUTS, authorityStep: 2 });
  expect(failures[0]?.reason).toMatch(
    /goes from 0 to 2.*authorityStep back to 0 and run .\/fleet up --stack vps.*rotate-certs --authority --stack vps/s,
  );
});

test("a preview makes nothing and says that everything is yet to be known", async () => {
  const { credentials } = handler();
  const { id, state } = await credentials.create(INPUTS, { ...OP, preview: true });
  expect(id).toBe("");
  expect(isSecret(state.secrets)).toBe(true);
});

test("a preview takes names that are not known yet, for a first time and a later one", async () => {
  const { credentials } = handler();
  const unknown = { ...INPUTS, certificates: UNKNOWN };
  expect(credentials.check(undefined, unknown).failures).toEqual([]);
  const preview = { ...OP, preview: true };
  expect(isSecret((await credentials.create(unknown, preview)).state.secrets)).toBe(true);
  const { id, state } = await credentials.create(INPUTS, OP);
  expect(isSecret((await credentials.update(id, state, unknown, preview)).secrets)).toBe(true);
  await expect(credentials.create(unknown, OP)).rejects.toThrow(/certificates/);
});

test("OpenSSH reads the keys, and finds the public half in the private one", async () => {
  const { credentials } = handler();
  const secrets = secretsOf((await credentials.create(INPUTS, OP)).state);
  const dir = mkdtempSync(join(tmpdir(), "ssh-key-"));
  try {
    writeFileSync(join(dir, "key"), secrets["sftp.a.key"] ?? "", { mode: 0o600 });
    const found = execFileSync("ssh-keygen", ["-y", "-f", join(dir, "key")], { encoding: "utf8" });
    expect(found.trim()).toBe(secrets["sftp.a.pub"]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** A TLS 1.3 connection with certificates both ways; rejects when one side does not know the other. */
async function greet(
  server: Record<string, string>,
  serverName: string,
  client: Record<string, string>,
  clientName: string,
): Promise<void> {
  const own = (of: Record<string, string>, name: string) => ({
    ca: of["tls.ca"] ?? "",
    cert: of[`tls.${name}.cert`] ?? "",
    key: of[`tls.${name}.key`] ?? "",
    minVersion: "TLSv1.3" as const,
  });
  const listener = createServer(
    { ...own(server, serverName), requestCert: true, rejectUnauthorized: true },
    (socket) => socket.end("hello"),
  );
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  try {
    const { port } = listener.address() as AddressInfo;
    const socket = connect({ host: "127.0.0.1", port, ...own(client, clientName) });
    const [text] = (await once(socket, "data")) as [Buffer];
    expect(text.toString()).toBe("hello");
    socket.destroy();
  } finally {
    listener.close();
  }
}
