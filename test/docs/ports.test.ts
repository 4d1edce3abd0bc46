import { expect, test } from "vitest";
import { planFront } from "../../components/front/plan.ts";
import { HOST_PORTS } from "../../components/host/types.ts";
import { WATCH_PORTS } from "../../components/prometheus/catalog.ts";
import { redisLayout } from "../../components/redis/layout.ts";
import { page, tableRows } from "./pages.ts";

/** Of Redis itself: where the servers of a cluster talk, above the port that clients take. */
const CLUSTER_BUS = 10_000;
const HOSTS = Array.from({ length: 9 }, (_, n) => ({
  name: `n${n + 1}`,
  address: `192.0.2.${n + 1}`,
}));

test("a firewall is told every port that hosts open to others, and no other", () => {
  const { local, ...open } = HOST_PORTS;
  const { machine, ...watcher } = WATCH_PORTS;
  const { httpPort, httpsPort } = planFront(HOSTS, { names: [], certificate: { kind: "fleet" } });
  // Few hosts carry most servers each.
  const servers = HOSTS.flatMap((_, n) =>
    n < 2 ? [] : redisLayout(HOSTS.slice(0, n + 1), HOST_PORTS, "cluster").servers,
  );
  const redis = [...new Set(servers.map(({ port }) => port))];
  const ssh = 22;
  const expected = [
    ...[ssh, httpPort, httpsPort, ...Object.values(open), machine],
    ...redis,
    ...redis.map((port) => port + CLUSTER_BUS),
  ];
  const ports = page("docs/fronts-and-redis.md");
  const told = tableRows(ports, "port on").flatMap(([numbers = ""]) =>
    numbers.split(", ").map(Number),
  );
  const sorted = (all: Iterable<number>) => [...all].sort((a, b) => a - b);
  expect(sorted(told)).toEqual(sorted(new Set(expected)));

  const [inside = ""] = /^On loopback alone.*$/m.exec(ports.text) ?? [];
  for (const port of [local, ...Object.values(watcher)]) expect(inside).toContain(String(port));
});
