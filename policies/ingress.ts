import { at, type Fields, items, shown, UNKNOWN } from "./read.ts";
import { TYPE } from "./resources.ts";

/** One source that a security group lets in. */
export interface IngressRule {
  readonly protocol: unknown;
  readonly from: unknown;
  readonly to: unknown;
  /** Range of addresses; undefined when another group is let in. */
  readonly source: unknown;
}

/** Bits of a range from which on it is a whole part of the internet. */
const WIDE_BITS = { v4: 8, v6: 16 };

/** What a resource of any of the three kinds of rule lets in. */
export function rulesOf(type: string, fields: Fields): readonly IngressRule[] {
  if (type === TYPE.ingress) {
    return sources(fields, at(fields, "ipProtocol"), [
      at(fields, "cidrIpv4"),
      at(fields, "cidrIpv6"),
    ]);
  }
  if (type === "aws:ec2/securityGroupRule:SecurityGroupRule") {
    return at(fields, "type") === "egress" ? [] : inline(fields);
  }
  if (type === TYPE.securityGroup || type === "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup") {
    return items(at(fields, "ingress")).flatMap((rule) =>
      rule === UNKNOWN
        ? [{ protocol: UNKNOWN, from: UNKNOWN, to: UNKNOWN, source: UNKNOWN }]
        : inline(rule as Fields),
    );
  }
  return [];
}

const inline = (rule: Fields): readonly IngressRule[] =>
  sources(rule, at(rule, "protocol"), [
    ...items(at(rule, "cidrBlocks")),
    ...items(at(rule, "ipv6CidrBlocks")),
  ]);

function sources(rule: Fields, protocol: unknown, ranges: readonly unknown[]): IngressRule[] {
  const port = { protocol, from: at(rule, "fromPort"), to: at(rule, "toPort") };
  const named = ranges.filter((range) => range !== undefined && range !== null && range !== "");
  if (named.length === 0) return [{ ...port, source: undefined }];
  return named.map((source) => ({ ...port, source }));
}

/** Is the range so wide that it means everybody? */
export function isWide(range: unknown): boolean {
  if (typeof range !== "string") return false;
  const bits = Number(range.split("/")[1] ?? "32");
  if (range.startsWith("10.") || /^f[cd]/i.test(range)) return false;
  return bits < (range.includes(":") ? WIDE_BITS.v6 : WIDE_BITS.v4);
}

/** Ports of a rule, for people. */
export function openTo({ protocol, from, to }: IngressRule): string {
  if (protocol === "-1") return "every protocol and port";
  const ports = from === to ? `port ${shown(from)}` : `ports ${shown(from)} to ${shown(to)}`;
  return `${shown(protocol)} ${ports}`;
}
