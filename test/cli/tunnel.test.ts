import { createServer, type Server } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { connectProxy } from "../../cli/lib/connect-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { CLUSTER_HOST, Home, KUBECONFIG, outcome } from "./fixtures.ts";

let home: Home;
let api: Server;
let apiPort: number;

beforeAll(async () => {
  // The cluster's API, as far as a tunnel is concerned: it says who it is.
  api = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.end("the cluster\n");
  });
  apiPort = await listening(api);
});
afterAll(() => new Promise((resolve) => api.close(resolve)));

beforeEach(() => {
  home = new Home();
  home.stacks({ prod: { target: "eks", kubeconfig: JSON.stringify(KUBECONFIG) } });
  home.program("session-manager-plugin", "");
  aws({
    machines: [
      ["i-0b", "Online"],
      ["i-0a", "Online"],
      ["i-0c", "ConnectionLost"],
    ],
  });
});
afterEach(() => home.remove());

function listening(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
  );
}

/** An AWS CLI that knows machines and forwards a port to the API for the right ones. */
function aws({ machines, refuse = "" }: { machines: [string, string][]; refuse?: string }): void {
  home.program(
    "aws",
    `const net = require("node:net");
const args = process.argv.slice(2);
const value = (name) => args[args.indexOf(name) + 1];
if (args[1] === "describe-instance-information") {
  const list = ${JSON.stringify(machines)}.map(([InstanceId, PingStatus]) => ({ InstanceId, PingStatus }));
  console.log(JSON.stringify({ InstanceInformationList: list }));
} else if (${JSON.stringify(refuse)}) {
  console.error(${JSON.stringify(refuse)});
  process.exit(254);
} else {
  const wanted = JSON.parse(value("--parameters"));
  if (value("--target") !== "i-0a" || wanted.host[0].toLowerCase() !== ${JSON.stringify(CLUSTER_HOST.toLowerCase())}) process.exit(9);
  net.createServer((socket) => {
    const up = net.connect(${apiPort}, "127.0.0.1");
    socket.on("error", () => up.destroy());
    up.on("error", () => socket.destroy());
    socket.pipe(up).pipe(socket);
  }).listen(Number(wanted.localPortNumber[0]), "127.0.0.1");
}`,
  );
}

/** A program that asks the proxy for the cluster by its own name and prints what it says. */
const CLIENT = `
const http = require("node:http");
const { hostname, port } = new URL(process.env.HTTPS_PROXY);
http.request({ host: hostname, port, method: "CONNECT", path: "${CLUSTER_HOST}:443" })
  .on("connect", (response, socket, head) => {
    // What came in the same packet as the proxy's answer.
    process.stdout.write(head);
    socket.setEncoding("utf8");
    socket.on("data", (part) => process.stdout.write(part));
    socket.on("end", () => process.exit(Number(process.env.CLIENT_EXIT ?? 0)));
  })
  .on("error", () => process.exit(8))
  .end();`;

test("a command in a tunnel reaches the cluster under its own name, and its end ends the tunnel", async () => {
  home.program("client", CLIENT);
  const { code, stdout, stderr } = await home.run(["tunnel", "--stack", "prod", "--", "client"]);
  expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: "the cluster\n" });
  expect(stderr).toContain("$ aws ssm describe-instance-information --region eu-central-1");
  expect(stderr).toContain(
    "--target i-0a --document-name AWS-StartPortForwardingSessionToRemoteHost",
  );
});

test("a command that fails makes the tunnel fail", async () => {
  home.program("client", CLIENT);
  const env = { CLIENT_EXIT: "3" };
  const { code, stderr } = await home.run(["tunnel", "--stack", "prod", "client"], env);
  expect(code).toBe(1);
  expect(stderr).toContain("client ended with exit code 3");
});

test("without a command it prints one line for a shell and stays until it is ended", async () => {
  const child = home.start(["tunnel", "--stack", "prod"]);
  let stdout = "";
  child.stdout?.on("data", (part) => {
    stdout += part;
  });
  const done = outcome(child);
  await eventually(() =>
    expect(stdout).toMatch(/^export HTTPS_PROXY=http:\/\/127\.0\.0\.1:\d+\n$/),
  );
  child.kill("SIGTERM");
  expect((await done).code).toBe(0);
});

test.each([
  ["both programs", [], "Not on PATH: aws, session-manager-plugin"],
  ["the plugin", ["aws"], "Not on PATH: session-manager-plugin"],
])("says exactly that %s are missing, and where they are found", async (_, present, said) => {
  const bare = new Home();
  try {
    for (const name of present) bare.program(name, "");
    const { code, stdout, stderr } = await bare.run(["tunnel", "--stack", "prod"], {
      PATH: bare.bin,
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(said);
    expect(stderr.replaceAll(/\s+/g, "")).toContain("install-plugin.html");
  } finally {
    bare.remove();
  }
});

test("no machine that is online is said before a session is tried", async () => {
  aws({ machines: [["i-0a", "ConnectionLost"]] });
  const { code, stderr } = await home.run(["tunnel", "--stack", "prod"]);
  expect(code).toBe(1);
  expect(stderr).toContain("none of 1 is online");
});

test("a session that AWS refuses is told in its words", async () => {
  aws({
    machines: [["i-0a", "Online"]],
    refuse: "An error occurred (TargetNotConnected): i-0a is not connected.",
  });
  const { code, stderr } = await home.run(["tunnel", "--stack", "prod"]);
  expect(code).toBe(1);
  expect(stderr).toContain("i-0a is not connected.");
});

test("another proxy in the environment is refused, since the tunnel sets its own", async () => {
  const env = { HTTPS_PROXY: "http://proxy:3128" };
  const { code, stderr } = await home.run(["tunnel", "--stack", "prod"], env);
  expect(code).toBe(2);
  expect(stderr).toContain("HTTPS_PROXY");
});

test("other names go straight out, and anything but CONNECT is refused", async () => {
  const proxy = await connectProxy({ host: CLUSTER_HOST, tunnelPort: 1, port: 0 });
  try {
    const { request } = await import("node:http");
    const said = await new Promise<string>((resolve, reject) => {
      request({
        host: "127.0.0.1",
        port: proxy.port,
        method: "CONNECT",
        path: `127.0.0.1:${apiPort}`,
      })
        .on("connect", (_, socket, head) => {
          socket.setEncoding("utf8");
          let text = head.toString();
          socket.on("data", (part) => {
            text += part;
          });
          socket.on("end", () => resolve(text));
        })
        .on("error", reject)
        .end();
    });
    expect(said).toBe("the cluster\n");
    const { status } = await fetch(`http://127.0.0.1:${proxy.port}/`);
    expect(status).toBe(405);
  } finally {
    await proxy.close();
  }
});
