import type { FleetStatus } from "../contract.ts";

/**
 * The members of the lease store that decide by majority, and those that lie on lost nodes; undefined
 * where no majority decides. A member on a host that runs no node (a witness) counts as there: nothing
 * here sees it go.
 */
export function votersOf(
  endpoints: readonly string[] | undefined,
  nodes: readonly Pick<FleetStatus["nodes"][number], "address" | "state">[],
): FleetStatus["store"]["voters"] {
  if (!endpoints) return undefined;
  const gone = new Set(
    nodes.filter(({ state }) => state === "lost").map(({ address }) => hostOf(`//${address}`)),
  );
  return {
    total: endpoints.length,
    lost: endpoints.filter((url) => gone.has(hostOf(url))).length,
  };
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url, "https://unknown")
    ? new URL(url, "https://unknown").hostname
    : undefined;
}
