/**
 * Finds the volume and makes a file system on it if, and only if, there is nothing at all on it.
 * Arguments: mount point, link that is to lead to the volume, seconds to wait, places to look at.
 */
export const PREPARE_SCRIPT = `#!/bin/sh
set -eu
mount_point=$1 link=$2 seconds=$3
shift 3

fail() {
  echo "$*" >&2
  exit 1
}

find_volume() {
  for place; do
    if [ -b "$place" ]; then
      readlink -f "$place"
      return
    fi
  done
}

# AWS attaches it once the machine runs.
waited=0
while volume=$(find_volume "$@") && [ -z "$volume" ]; do
  [ "$waited" -lt "$seconds" ] ||
    fail "the state volume was not attached within $seconds s; looked for $*"
  sleep 1
  waited=$((waited + 1))
done

if mountpoint --quiet "$mount_point"; then
  ln -sfn "$volume" "$link"
  exit 0
fi

# While nothing is mounted there, nobody writes below it: it would be lost with the machine.
mkdir -p "$mount_point"
chattr +i "$mount_point" || echo "cannot keep $mount_point empty without its volume" >&2

# To blkid, what cannot be read is blank as well.
dd if="$volume" of=/dev/null bs=1M count=1 status=none || fail "$volume cannot be read"
code=0
type=$(blkid --probe --output value --match-tag TYPE "$volume") || code=$?
case $code in
  0) [ "$type" = ext4 ] ||
    fail "$volume holds \${type:-something that is no file system}, and not ext4; it is left as it is" ;;
  2)
    echo "$volume is blank: making a file system"
    mkfs.ext4 -q -m 1 -L openclaw-fleet "$volume" </dev/null
    ;;
  *) fail "blkid cannot tell what is on $volume (exit $code); it is left as it is" ;;
esac

# After a machine that was lost. 1: mended.
e2fsck -p "$volume" || [ $? -le 1 ] || fail "$volume needs e2fsck by hand; it is left as it is"
ln -sfn "$volume" "$link"
`;

/** Gives a mounted file system all of its volume; does nothing when it has it. Argument: mount point. */
export const GROW_SCRIPT = `#!/bin/sh
set -eu
resize2fs "$(findmnt --noheadings --output SOURCE --target "$1")"
`;
