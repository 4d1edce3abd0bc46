import type { PricedBy } from "../cost.ts";

/** Longest name and label. Source: RFC 1035, section 2.3.4 */
export const NAME_MAX = 253;
export const LABEL_MAX = 63;

/** How long a certificate waits for a record that the world cannot see, minutes.
 *  Source: timeout of aws_acm_certificate_validation, github.com/hashicorp/terraform-provider-aws
 *  internal/service/acm/certificate_validation.go, checked 2026-11-21 */
export const VALIDATION_TIMEOUT_MINUTES = 75;

/** The component registers nothing of AWS: the zone exists, and stays when the fleet goes. */
export const PRICED: Readonly<Record<string, PricedBy>> = {};
