import type { FrontPlan } from "../../components/front/plan.ts";
import type { FrontNeed } from "../../components/prometheus/need.ts";

/** What watching needs to know of a front. */
export function frontNeed(front: FrontPlan): FrontNeed {
  return {
    // A front that listens to balancers alone cannot be asked by its address.
    hosts: front.proxyProtocolFrom.length > 0 ? [] : front.fronts.map(({ name }) => name),
    names: front.names,
    port: front.httpsPort,
    fleetAuthority: front.certificate.kind === "fleet",
  };
}
