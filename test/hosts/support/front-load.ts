import { Agent, request } from "node:https";

/** With what a front proves who it is, and whom it believes. */
export interface FrontTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface FrontLoad {
  asked(): number;
  /** New connections use this from now on; what is under way ends on those that are open. */
  use(tls: FrontTls): void;
  /** Ends it; what was no good answer. */
  stop(): Promise<string[]>;
}

/**
 * Clients behind a front, which asks the routers in turn over connections that it keeps. A router that
 * does not let it in is passed over; a request that went out is never sent again.
 */
export function frontLoad(
  routers: readonly { host: string; port: number }[],
  first: FrontTls,
  token: string,
): FrontLoad {
  const made: Agent[] = [];
  const agentsFor = (tls: FrontTls) => {
    const own = routers.map(() => new Agent({ keepAlive: true, ...tls }));
    made.push(...own);
    return own;
  };
  let agents = agentsFor(first);
  const faults: string[] = [];
  let over = false;
  let asked = 0;

  /** Null: answered well. "refused": this router did not take the connection. */
  const ask = (router: number, path: string, body: string | null) =>
    new Promise<string | null>((resolve) => {
      const req = request(
        {
          ...routers[router],
          agent: agents[router],
          path,
          method: body === null ? "GET" : "POST",
          headers: { authorization: `Bearer ${token}`, "x-forwarded-for": "203.0.113.7" },
        },
        (res) => {
          let text = "";
          res.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk;
          });
          res.on("error", (error) => resolve(`${path}: ${error}`));
          res.on("end", () =>
            resolve(res.statusCode === 200 ? null : `${path}: ${res.statusCode} ${text}`),
          );
        },
      );
      req.on("error", (error: Error & { code?: string }) =>
        resolve(error.code === "ECONNREFUSED" ? "refused" : `${path}: ${error}`),
      );
      req.end(body);
    });

  const client = async (message: boolean) => {
    while (!over) {
      asked += 1;
      const n = asked;
      const body = message
        ? JSON.stringify({ session: `load-${n % 9}`, message: "[[delay=200]] hi" })
        : null;
      const path = message ? "/api/v1/chat" : "/healthz";
      let answer: string | null = "refused";
      for (let i = 0; answer === "refused" && i < routers.length; i++) {
        answer = await ask((n + i) % routers.length, path, body);
      }
      if (answer !== null) faults.push(answer);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const clients = [true, true, true, false].map(client);
  return {
    asked: () => asked,
    use: (tls) => {
      agents = agentsFor(tls);
    },
    stop: async () => {
      over = true;
      await Promise.all(clients);
      for (const agent of made) agent.destroy();
      return faults;
    },
  };
}
