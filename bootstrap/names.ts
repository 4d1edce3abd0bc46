/** Names that other things know before they are there: CI, stacks' settings, and the next run. */
export const STATE_ALIAS = "alias/openclaw-fleet-state";
export const DEPLOY_ROLE = "openclaw-fleet-deploy";
export const PREVIEW_ROLE = "openclaw-fleet-preview";
/** Path of every role that a stack makes, for `aws.rolePath`: the deploy role may make no other. */
export const FLEET_PATH = "/openclaw-fleet/";
/** Path of the policies made here, which the deploy role must not change. */
export const BOOTSTRAP_PATH = "/openclaw-fleet-bootstrap/";
export const BOUNDARY = "openclaw-fleet-boundary";

/** Who signs GitHub's tokens, without scheme, as ARNs and condition keys have it. */
export const GITHUB_ISSUER = "token.actions.githubusercontent.com";

export interface Place {
  /** Twelve digits. */
  readonly accountId: string;
  readonly region: string;
}

/** Bucket names are the world's, so account and region are in it. */
export const stateBucket = ({ accountId, region }: Place): string =>
  `openclaw-fleet-state-${accountId}-${region}`;

/** Stack of this project, one an account and region. */
export const bootstrapStack = ({ accountId, region }: Place): string =>
  `aws-${accountId}-${region}`;

/** For PULUMI_BACKEND_URL. */
export const backendUrl = (place: Place): string =>
  `s3://${stateBucket(place)}?region=${place.region}&awssdk=v2`;

/** For `secretsprovider` in a stack's file. */
export const secretsProvider = ({ region }: Place): string =>
  `awskms://${STATE_ALIAS}?region=${region}`;

export const boundaryArn = ({ accountId }: Place, partition = "aws"): string =>
  `arn:${partition}:iam::${accountId}:policy${BOOTSTRAP_PATH}${BOUNDARY}`;
