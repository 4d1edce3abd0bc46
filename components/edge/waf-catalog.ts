/** What a rule looks at. */
export type LooksAt = "body" | "query" | "path" | "header" | "cookie" | "method" | "address";

export interface ManagedRule {
  readonly name: string;
  /** Last part of the label that a match leaves. */
  readonly label: string;
  readonly looksAt: LooksAt;
}

/** A group of rules that AWS keeps up to date. */
export interface ManagedGroup {
  readonly name: string;
  /** Beginning of its labels. */
  readonly labels: string;
  /** Capacity units it takes. */
  readonly capacity: number;
  readonly rules: readonly ManagedRule[];
}

const rule = (name: string, label: string, looksAt: LooksAt): ManagedRule => ({
  name,
  label,
  looksAt,
});

/**
 * Rules and labels of the groups. Sources, checked 2026-11-21:
 * docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html and
 * aws-managed-rule-groups-ip-rep.html.
 */
export const IP_REPUTATION: ManagedGroup = {
  name: "AWSManagedRulesAmazonIpReputationList",
  labels: "awswaf:managed:aws:amazon-ip-list:",
  capacity: 25,
  rules: [
    rule("AWSManagedIPReputationList", "AWSManagedIPReputationList", "address"),
    rule("AWSManagedReconnaissanceList", "AWSManagedReconnaissanceList", "address"),
    rule("AWSManagedIPDDoSList", "AWSManagedIPDDoSList", "address"),
  ],
};

export const HOSTING_PROVIDERS = "HostingProviderIPList";
export const ANONYMOUS_IPS: ManagedGroup = {
  name: "AWSManagedRulesAnonymousIpList",
  labels: "awswaf:managed:aws:anonymous-ip-list:",
  capacity: 50,
  rules: [
    rule("AnonymousIPList", "AnonymousIPList", "address"),
    rule(HOSTING_PROVIDERS, HOSTING_PROVIDERS, "address"),
  ],
};

export const NO_USER_AGENT = "NoUserAgent_HEADER";
export const CORE_RULES: ManagedGroup = {
  name: "AWSManagedRulesCommonRuleSet",
  labels: "awswaf:managed:aws:core-rule-set:",
  capacity: 700,
  rules: [
    rule(NO_USER_AGENT, "NoUserAgent_Header", "header"),
    rule("UserAgent_BadBots_HEADER", "BadBots_Header", "header"),
    rule("SizeRestrictions_QUERYSTRING", "SizeRestrictions_QueryString", "query"),
    rule("SizeRestrictions_Cookie_HEADER", "SizeRestrictions_Cookie_Header", "cookie"),
    rule("SizeRestrictions_BODY", "SizeRestrictions_Body", "body"),
    rule("SizeRestrictions_URIPATH", "SizeRestrictions_URIPath", "path"),
    rule("EC2MetaDataSSRF_BODY", "EC2MetaDataSSRF_Body", "body"),
    rule("EC2MetaDataSSRF_COOKIE", "EC2MetaDataSSRF_Cookie", "cookie"),
    rule("EC2MetaDataSSRF_URIPATH", "EC2MetaDataSSRF_URIPath", "path"),
    rule("EC2MetaDataSSRF_QUERYARGUMENTS", "EC2MetaDataSSRF_QueryArguments", "query"),
    rule("GenericLFI_QUERYARGUMENTS", "GenericLFI_QueryArguments", "query"),
    rule("GenericLFI_URIPATH", "GenericLFI_URIPath", "path"),
    rule("GenericLFI_BODY", "GenericLFI_Body", "body"),
    rule("RestrictedExtensions_URIPATH", "RestrictedExtensions_URIPath", "path"),
    rule("RestrictedExtensions_QUERYARGUMENTS", "RestrictedExtensions_QueryArguments", "query"),
    rule("GenericRFI_QUERYARGUMENTS", "GenericRFI_QueryArguments", "query"),
    rule("GenericRFI_BODY", "GenericRFI_Body", "body"),
    rule("GenericRFI_URIPATH", "GenericRFI_URIPath", "path"),
    rule("CrossSiteScripting_COOKIE", "CrossSiteScripting_Cookie", "cookie"),
    rule("CrossSiteScripting_QUERYARGUMENTS", "CrossSiteScripting_QueryArguments", "query"),
    rule("CrossSiteScripting_BODY", "CrossSiteScripting_Body", "body"),
    rule("CrossSiteScripting_URIPATH", "CrossSiteScripting_URIPath", "path"),
  ],
};

export const KNOWN_BAD_INPUTS: ManagedGroup = {
  name: "AWSManagedRulesKnownBadInputsRuleSet",
  labels: "awswaf:managed:aws:known-bad-inputs:",
  capacity: 200,
  rules: [
    rule("JavaDeserializationRCE_HEADER", "JavaDeserializationRCE_Header", "header"),
    rule("JavaDeserializationRCE_BODY", "JavaDeserializationRCE_Body", "body"),
    rule("JavaDeserializationRCE_URIPATH", "JavaDeserializationRCE_URIPath", "path"),
    rule("JavaDeserializationRCE_QUERYSTRING", "JavaDeserializationRCE_QueryString", "query"),
    rule("Host_localhost_HEADER", "Host_Localhost_Header", "header"),
    rule("PROPFIND_METHOD", "Propfind_Method", "method"),
    rule("ExploitablePaths_URIPATH", "ExploitablePaths_URIPath", "path"),
    rule("Log4JRCE_HEADER", "Log4JRCE_Header", "header"),
    rule("Log4JRCE_QUERYSTRING", "Log4JRCE_QueryString", "query"),
    rule("Log4JRCE_BODY", "Log4JRCE_Body", "body"),
    rule("Log4JRCE_URIPATH", "Log4JRCE_URIPath", "path"),
    rule("ReactJSRCE_BODY", "ReactJSRCE_Body", "body"),
  ],
};

/**
 * Source: docs.aws.amazon.com/waf/latest/developerguide/aws-waf-capacity-units.html and
 * waf-rule-statement-type-rate-based-request-limiting.html (2026-11-21).
 */
export const WAF = {
  /** Capacity units included in the firewall's price. */
  capacity: 1_500,
  /** Kilobytes of a body that it sees behind a balancer. */
  bodyKb: 8,
  rateLimit: { min: 10, max: 2_000_000_000 },
  /** Seconds over which requests are counted; AWS takes 60, 120, 300 or 600. */
  rateWindowSeconds: 300,
} as const;

/** Capacity units of statements: docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statements-list.html. */
export const STATEMENT_CAPACITY = { label: 1, regex: 3, rate: 2, rateKey: 30 } as const;

/** Requests of one turn that a firewall must let through: the question, its history, retries. */
export const REQUESTS_PER_TURN = 4;
