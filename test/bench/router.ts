import { randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
import { quantile } from "../drill/summary.ts";
import { type BenchContext, millis, type Part, type PartResult, row } from "./part.ts";
import { findNginx, type Server, startChild, startNginx } from "./proxies.ts";
import { usageOf } from "./usage.ts";

const PATH = "/v1/chat/completions";
const BODY = JSON.stringify({
  model: "openclaw/main",
  user: "bench",
  messages: [{ role: "user", content: "y".repeat(200) }],
});
/** At once, when throughput is measured. */
const PARALLEL = 16;
/** The musts of docs/capacity.md. */
const MUST_ADDED_MS = 0.5;
const AIM_ADDED_MS = 0.2;
const MUST_SHARE = 0.12;
const AIM_SHARE = 0.25;

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
  { rounds, each, signal }: { rounds: number; each: number; signal: AbortSignal },
): Promise<Record<string, Measured>> {
  const one: Record<string, number[]> = {};
  const cpu: Record<string, { count: number; seconds: number }> = {};
  for (const { port } of Object.values(servers)) await many(port, token, each, PARALLEL);
  for (let round = 0; round < rounds; round++) {
    for (const [name, { port, pid }] of Object.entries(servers)) {
      signal.throwIfAborted();
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
  const program = findNginx();
  const token = randomBytes(24).toString("hex");
  const running: Server[] = [];
  try {
    const upstream = await startChild("upstream-child.ts");
    running.push(upstream);
    const router = await startChild("router-child.ts", [String(upstream.port), token]);
    running.push(router);
    const nginx = await startNginx(program, upstream.port, bench.signal);
    running.push(nginx);
    const rounds = bench.quick ? 2 : 10;
    const each = bench.quick ? 300 : 1_000;
    bench.say(`direct, ${program.version} and the router in turn, ${rounds} rounds`);
    const servers = { direct: upstream, nginx, router };
    const found = await measure(servers, token, { rounds, each, signal: bench.signal });
    const result = resultOf(found as Record<keyof typeof servers, Measured>);
    result.notes.push(
      `One request at a time for the latency (${rounds * each}), ${PARALLEL} at once for the CPU (${rounds * each * 4}); rounds alternate between the servers.`,
      `A small completion, connections kept; ${program.version} with one worker; CPU is the proxy's own.`,
    );
    return result;
  } finally {
    for (const server of running.reverse()) await server.stop();
  }
}

function resultOf({ direct, nginx, router: own }: Record<string, Measured>): PartResult {
  if (!direct || !nginx || !own) throw new Error("a server was not measured");
  const added = own.p50 - direct.p50;
  const share = own.perCpuSecond / nginx.perCpuSecond;
  const both = ({ p50, p99 }: Measured) => `${millis(p50)}, ${millis(p99)}`;
  return {
    rows: [
      row("added latency, p50", millis(added), `nginx adds ${millis(nginx.p50 - direct.p50)}`, {
        must: { text: `≤ ${MUST_ADDED_MS} ms`, met: added <= MUST_ADDED_MS },
        aim: { text: `≤ ${AIM_ADDED_MS} ms`, met: added <= AIM_ADDED_MS },
      }),
      row("latency, p50 and p99", both(own), `direct ${both(direct)}; nginx ${both(nginx)}`),
      row(
        "requests per CPU-second",
        `${Math.round(own.perCpuSecond)}, ${share.toFixed(2)} of nginx's`,
        `nginx ${Math.round(nginx.perCpuSecond)}`,
        {
          must: { text: `≥ ${MUST_SHARE}`, met: share >= MUST_SHARE },
          aim: { text: `≥ ${AIM_SHARE}`, met: share >= AIM_SHARE },
        },
      ),
    ],
    // A request without its 200 ends the part at once.
    laws: "Every request was answered.",
    broken: [],
    notes: [],
  };
}

export const router: Part = { name: "router", title: "Router beside nginx", run };
