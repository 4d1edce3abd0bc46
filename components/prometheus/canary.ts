import { type HostContext, type HostPart, UNIT_ORDER } from "../host/types.ts";
import { UNITS, WATCH_PORTS } from "./catalog.ts";
import { hasCanary, publicUrls } from "./front.ts";
import type { WatchNeed } from "./need.ts";
import { json, ownFile, watchPlaces } from "./places.ts";
import { unitText } from "./units.ts";

/** A turn of a model may be long; the canary asks for one word. s */
const TIMEOUT_SECONDS = 120;

/** The secret that is its token; it must be one of `tokens.client` in fleet.json. */
export const CANARY_TOKEN = "token.canary";

/** A conversation through the front door, again and again. Nothing without a front of the fleet's that it can reach. */
export function planCanary(context: HostContext, need: WatchNeed): HostPart {
  const { canary } = need.settings;
  if (need.front === null || !hasCanary(need)) return {};
  const { ports = WATCH_PORTS } = need;
  const places = watchPlaces(context.paths);
  const { release } = context.paths;
  const argv = [`${release}/bin/node`, `${release}/runtime/canary.js`, "--config", places.canary];
  const config = {
    version: 1,
    endpoints: publicUrls(context, need.front),
    token: `{{secret ${CANARY_TOKEN}}}`,
    agent: canary.agent,
    everyMs: Math.round(canary.minutes * 60_000),
    timeoutMs: Math.min(TIMEOUT_SECONDS * 1_000, Math.round(canary.minutes * 60_000)),
    slowSeconds: canary.slowSeconds,
    listen: { host: "127.0.0.1", port: ports.canary },
  };
  return {
    files: { [places.canary]: ownFile(json(config), "json") },
    units: {
      [UNITS.canary]: {
        content: unitText({
          description: "Canary of the OpenClaw fleet",
          argv,
          compiles: true,
          // The front's certificate may be the fleet's own.
          lines: [`Environment=NODE_EXTRA_CA_CERTS=${places.ca}`],
        }),
        state: "enabled",
        order: UNIT_ORDER.monitoring,
        restartOn: [places.canary, places.ca],
        verify: [...argv, "--check"],
      },
    },
  };
}
