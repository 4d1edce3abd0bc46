import { httpsOrigin } from "../../gateway/address.ts";
import type { HostContext } from "../host/types.ts";
import type { FrontNeed, WatchNeed } from "./need.ts";
import { hostNamed } from "./places.ts";

const isWildcard = (name: string) => name.startsWith("*.");

/** Names that DNS knows. */
export const plainNames = ({ names }: Pick<FrontNeed, "names">): string[] =>
  names.filter((name) => !isWildcard(name));

/**
 * The name by which a host's front is asked, since one with names answers to nothing else; of a wildcard one that it
 * covers. Null: by its address.
 */
export function spokenName(front: Pick<FrontNeed, "names">): string | null {
  const [first] = [...plainNames(front), ...front.names];
  return first === undefined ? null : first.replace(/^\*\./, "fleet.");
}

/** Whether there is a URL for the canary. A wildcard is none, nor is an address that only balancers may call. */
export function canaryReaches({ names, hosts }: Pick<FrontNeed, "names" | "hosts">): boolean {
  return plainNames({ names }).length > 0 || (names.length === 0 && hosts.length > 0);
}

export const hasCanary = ({ settings, front }: WatchNeed): boolean =>
  settings.canary.enabled && front !== null && canaryReaches(front);

/** What people open, as far as it is known. */
export function publicUrls(context: HostContext, front: FrontNeed): string[] {
  const names = plainNames(front);
  const addresses = () => front.hosts.map((name) => hostNamed(context, name).address);
  return (names.length > 0 ? names : addresses()).map((host) => httpsOrigin(host, front.port));
}
