import type { PolicyResource } from "@pulumi/policy";
import { rulesOf } from "./ingress.ts";
import { allOf, fieldsOf, from } from "./resources.ts";

/** Every rule that lets something into one of these groups, and the resource it stands in. */
export function ingressOf(resources: readonly PolicyResource[], groups: readonly PolicyResource[]) {
  const urns = new Set(groups.map(({ urn }) => urn));
  return resources
    .filter(
      (resource) =>
        urns.has(resource.urn) ||
        from(resource, "securityGroupId").some(({ urn }) => urns.has(urn)),
    )
    .flatMap((holder) => rulesOf(holder.type, fieldsOf(holder)).map((rule) => ({ rule, holder })));
}

/** URNs of subnets whose route table leads to an internet gateway. */
export function publicSubnets(resources: readonly PolicyResource[]): ReadonlySet<string> {
  const tables = new Set(
    allOf(resources, "aws:ec2/route:Route")
      .filter((route) =>
        from(route, "gatewayId").some(({ type }) => type.includes("InternetGateway")),
      )
      .flatMap((route) => from(route, "routeTableId").map(({ urn }) => urn)),
  );
  const joined = allOf(resources, "aws:ec2/routeTableAssociation:RouteTableAssociation").filter(
    (join) => from(join, "routeTableId").some(({ urn }) => tables.has(urn)),
  );
  return new Set(joined.flatMap((join) => from(join, "subnetId").map(({ urn }) => urn)));
}
