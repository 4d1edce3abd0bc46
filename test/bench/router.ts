import { randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
import { quantile } from "../drill/summary.ts";
import { type BenchContext, millis, type Part, type PartResult, row } from "./part.ts";
import { nginxVersion, type Server, startChild, startNginx } from "./proxies.ts";
import { usageOf } from "./usage.ts";

const PATH = "/v1/chat/completions";
const BODY = JSON.stringify({
  model: "openclaw/main",
  user: "bench",
  messages: [{ role: "user", content: "y".repeat(200) }],
});
/** At once, when throughput is measured. */
const PARALLEL = 16;

interface Measured {
  p50: number;
  p99: number;
  /** Requests per second of CPU that the proxy itself used. */
  perCpuSecond: number;
}

function once(port: number, agent: Agent, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const call = request(
      {
        port,
        host: "127.0.0.1",
        path: PATH,
        method: "POST",
        agent,
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(BODY),
        },
      },
      (response) => {
        response.resume();
        response.once("end", () => {
          if (response.statusCode === 200) resolve(performance.now() - begun);
          else reject(new Error(`port ${port} answered ${response.statusCode}`));
        });
      },
    );
    call.once("error", reject);
    call.end(BODY);
  });
}

async function many(port: number, token: string, count: number, parallel: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: parallel });
  const times: number[] = [];
  let left = count;
  try {
    await Promise.all(
      Array.from({ length: parallel }, async () => {
        while (left-- > 0) times.push(await once(port, agent, token));
      }),
    );
  } finally {
    agent.destroy();
  }
  return times;
}

/** Rounds go over all servers in turn, so that what else the machine does hits each alike. */
async function measure(
  servers: Record<string, Server>,
  token: string,
  rounds: number,
  each: number,
): Promise<Record<string, Measured>> {
  const one: Record<string, number[]> = {};
  const cpu: Record<string, { count: number; seconds: number }> = {};
  for (const { port } of Object.values(servers)) await many(port, token, each, PARALLEL);
  for (let round = 0; round < rounds; round++) {
    for (const [name, { port, pid }] of Object.entries(servers)) {
      one[name] = [...(one[name] ?? []), ...(await many(port, token, each, 1))];
      const before = usageOf(pid).cpuSeconds;
      await many(port, token, each * 4, PARALLEL);
      const used = usageOf(pid).cpuSeconds - before;
      const so = cpu[name] ?? { count: 0, seconds: 0 };
      cpu[name] = { count: so.count + each * 4, seconds: so.seconds + used };
    }
  }
  return Object.fromEntries(
    Object.keys(servers).map((name) => {
      const times = one[name] ?? [];
      const { count, seconds } = cpu[name] ?? { count: 0, seconds: 1 };
      return [
        name,
        {
          p50: quantile(times, 0.5) ?? 0,
          p99: quantile(times, 0.99) ?? 0,
          perCpuSecond: count / Math.max(seconds, 0.01),
        },
      ];
    }),
  );
}

async function run(bench: BenchContext): Promise<PartResult> {
  const notes = [
    "One request at a time for the latency, 16 at once for the throughput; rounds alternate between the servers. CPU is the proxy's own.",
  ];
  if (nginxVersion() === null) {
    throw new Error(
      "nginx is not installed: it is the reference (Debian: apt-get install nginx-light)",
    );
  }
  const token = randomBytes(24).toString("hex");
  const running: Server[] = [];
  try {
    const upstream = await startChild("upstream-child.ts");
    running.push(upstream);
    const router = await startChild("router-child.ts", [String(upstream.port), token]);
    running.push(router);
    const nginx = await startNginx(upstream.port, bench.signal);
    running.push(nginx);
    bench.say("direct, nginx and router in turn");
    const servers = { direct: upstream, nginx, router };
    const rounds = bench.quick ? 2 : 10;
    const found = await measure(servers, token, rounds, bench.quick ? 300 : 1_000);
    const { direct, nginx: front, router: own } = found as Record<keyof typeof servers, Measured>;
    const added = own.p50 - direct.p50;
    const share = own.perCpuSecond / front.perCpuSecond;
    return {
      rows: [
        row("added latency, p50", millis(added), `nginx adds ${millis(front.p50 - direct.p50)}`, {
          text: "≤ 0.5 ms",
          met: added <= 0.5,
        }),
        row(
          "latency, p50 and p99",
          `${millis(own.p50)}, ${millis(own.p99)}`,
          `direct ${millis(direct.p50)}, ${millis(direct.p99)}; nginx ${millis(front.p50)}, ${millis(front.p99)}`,
        ),
        row(
          "requests per CPU-second",
          Math.round(own.perCpuSecond).toString(),
          `nginx ${Math.round(front.perCpuSecond)}, so ${share.toFixed(2)} of it`,
          { text: "≥ 0.12 of nginx", met: share >= 0.12 },
        ),
      ],
      broken: [],
      notes,
    };
  } finally {
    for (const server of running.reverse()) await server.stop();
  }
}

export const router: Part = { name: "router", title: "Router beside nginx", run };
