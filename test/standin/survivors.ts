/** Why nothing here notices that something is taken out of a stack; each line is used, or a test fails. */
export interface Survivor {
  /** What was taken out, as an Outcome says it. */
  readonly what: RegExp;
  readonly reason: string;
}

export const SURVIVORS: readonly Survivor[] = [
  {
    what: /waits for \S+-cluster-(coredns|aws-ebs-csi-driver|metrics-server|admin-\S+)$/,
    reason: "what a cluster must have before anything else is one list; this kind needs less of it",
  },
  {
    what: /-monitoring-\S+ waits for \S+-nodes-\S+$/,
    reason: "pods without a pool of nodes wait for one; nothing is refused",
  },
  {
    what: /-monitoring-\S+ waits for \S+-platform-(issuer|secret-store)$/,
    reason: "what monitoring needs of the platform is one list; this part needs less of it",
  },
  {
    what: /-nat-\S+ waits for \S+-network-internet$/,
    reason: "AWS takes an address before there is a gateway; what uses the address waits by itself",
  },
  {
    what: /-routers-service waits for \S+-platform-load-balancer$/,
    reason: "the Service is there for the binding, and waits for what the binding waits for",
  },
  {
    what: /-self-signed waits for \S+-fleet$/,
    reason: "the objects of the fleet's CA wait for one list; a ClusterIssuer has no namespace",
  },
  {
    what: /-volumes-gone waits for \S+-namespace$/,
    reason: "the namespace goes with the cluster, so nobody deletes it earlier",
  },
  {
    what: /^release-\S+ waits for \S+-hosts-\S+-target$/,
    reason: "all that a host has is one list; a target is called when its router is well",
  },
  {
    what: /^credentials is there$|-(password|tokens-client|tokens-admin) is there$/,
    reason: "its value is in the inputs of others here; the engine would not have got it",
  },
  {
    what: /-edge-aaaa-\S+ is there$/,
    reason: "a balancer with IPv4 addresses only has nothing to answer with",
  },
  {
    what: /-files-(skills|knowledge) is there$/,
    reason: "access points are mounted by the runtime, one is enough for the law",
  },
  {
    what: /-network-endpoint-\S+ is there$/,
    reason: "the service is reached through NAT then; which endpoints there are is a setting",
  },
  {
    what: /-controller-zonal-shift is there$/,
    reason: "used only when AWS shifts traffic out of a zone",
  },
  {
    what: /-from-(agents|api-server|balancer|fleet|monitoring) is there$/,
    reason: "a namespace closed more tightly refuses nothing here; the list of URNs holds the rule",
  },
  {
    what: /-(platform-scaling|monitoring-(grafana|tempo|loki|stack|collector|vector|routers|rules|openclaw-\w+)) is there$/,
    reason: "nothing in the account needs it; the list of URNs holds it",
  },
  {
    what: /-hosts-from-hosts is there$/,
    reason: "a single host has no peers",
  },
];
