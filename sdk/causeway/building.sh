# Runs in the pod that builds an image: buildah, without a daemon and without privileges (causeway.building).
set -eu
image=$(cat /var/inputs/image) platform=$(cat /var/inputs/platform) base=$(cat /var/inputs/base)
export BUILDAH_ISOLATION=chroot
# Not by variables: buildah reads some of them only until it has made itself a user namespace.
buildah() { command buildah --root /tmp/storage --runroot /tmp/run --storage-driver vfs "$@"; }
fail() {
    echo "$1" >&2
    exit 1
}
for program in buildah uv tar; do
    command -v $program >/dev/null || fail "there is no $program in the image that builds (CAUSEWAY_IMAGE_BUILDER)"
done
mkdir -p /tmp/context
tar -xzf /var/inputs/context -C /tmp/context
buildah pull --quiet --platform "$platform" "$base" >/dev/null || fail "the base image $base could not be pulled: why is said above"
buildah build --platform "$platform" --pull-never --tag "$image" --volume "$(command -v uv):/usr/local/bin/uv:ro" /tmp/context ||
    fail "a step of the image failed: why is said above"
buildah push --digestfile /tmp/digest "$image" || fail "the image could not be pushed to its registry: why is said above"
cat /tmp/digest >/var/outputs/digest
