/** Somebody with full rights in the cluster. */
export interface Admin {
  /** For logical names: `123456789012-role-deploy`. */
  readonly key: string;
  readonly arn: string;
}

const IAM_ARN = /^arn:aws[a-z-]*:iam::(\d{12}):(role|user)\/(?:[^\s]*\/)?([^/\s]+)$/;
const SESSION_ARN = /^arn:aws[a-z-]*:sts::(\d{12}):assumed-role\/([^/\s]+)\/[^/\s]+$/;

/** Null when the ARN is not of an IAM role or user. */
export function parseAdmin(arn: string): Admin | null {
  const match = IAM_ARN.exec(arn);
  return match ? { key: `${match[1]}-${match[2]}-${match[3]}`, arn } : null;
}

/**
 * The administrator that a caller is. `callerArn` is what `aws sts get-caller-identity` says; the
 * session of a role names the role without its path, so roles are compared by account and name.
 */
export function adminOf(callerArn: string, admins: readonly Admin[]): Admin | null {
  const session = SESSION_ARN.exec(callerArn);
  const key = session ? `${session[1]}-role-${session[2]}` : parseAdmin(callerArn)?.key;
  return admins.find((admin) => admin.key === key) ?? null;
}

/** What a person writes for a caller: the role behind a session, whose path is not in its ARN. */
export function adminArnFor(callerArn: string): string {
  const session = SESSION_ARN.exec(callerArn);
  if (!session) return callerArn;
  const partition = callerArn.split(":")[1];
  return `arn:${partition}:iam::${session[1]}:role/${session[2]}`;
}
