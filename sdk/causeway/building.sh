# Runs in the pod that builds an image: buildah, without a daemon and without privileges (causeway.building).
set -eu
storage=/var/lib/builds # a volume of the pod
image=$(cat /var/inputs/image) platform=$(cat /var/inputs/platform) base=$(cat /var/inputs/base)
export BUILDAH_ISOLATION=chroot
# Told by options: of the variables that say the same some are not heeded in the user namespace that buildah makes itself.
driver=overlay
buildah() { command buildah --root "$storage/$driver" --runroot "$storage/run-$driver" --storage-driver "$driver" "$@"; }
fail() {
    echo "$1" >&2
    exit 1
}
for program in buildah uv tar; do
    command -v $program >/dev/null || fail "there is no $program in the image that builds (CAUSEWAY_IMAGE_BUILDER)"
done
buildah info >/dev/null 2>&1 || driver=vfs # where the kernel lays no layers over each other for users, each is a copy
mkdir -p /tmp/context
tar -xzf /var/inputs/context -C /tmp/context
buildah pull --quiet --platform "$platform" "$base" >/dev/null || fail "the base image $base could not be pulled: why is said above"
buildah build --platform "$platform" --pull-never --tag "$image" --volume "$(command -v uv):/usr/local/bin/uv:ro" /tmp/context ||
    fail "a step of the image failed: why is said above"
buildah push --digestfile /tmp/digest "$image" || fail "the image could not be pushed to its registry: why is said above"
cat /tmp/digest >/var/outputs/digest
