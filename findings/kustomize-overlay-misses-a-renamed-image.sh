#!/bin/sh
# kustomize 5.7.1: an overlay's `images` entry for the image that the manifests name does nothing once the base has renamed it.
#
# Each layer's transformers see what the layer below has made of the manifests. A base that gives `app` a registry leaves
# no `app`: an overlay that asks for another tag of `app` is built without a word, and the old tag stays. It has to ask by
# the base's new name. The same is true of what `kubectl apply -k` applies.
#
# Seen on 2026-11-29:
#   overlay asks for app: image: registry.example/app:1
#   overlay asks for registry.example/app: image: registry.example/app:2
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
GOBIN="$folder" GOFLAGS=-mod=mod go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1 2>/dev/null
mkdir "$folder/base" "$folder/overlay"
cat >"$folder/base/pod.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: app}]}
YAML
cat >"$folder/base/kustomization.yaml" <<'YAML'
resources: [pod.yaml]
images: [{name: app, newName: registry.example/app, newTag: "1"}]
YAML
found=$(for asked in app registry.example/app; do
    printf 'resources: [../base]\nimages: [{name: %s, newTag: "2"}]\n' "$asked" >"$folder/overlay/kustomization.yaml"
    echo "overlay asks for $asked: $("$folder/kustomize" build "$folder/overlay" | sed -n 's/.*\(image: .*\)/\1/p')"
done)
echo "$found"
[ "$found" = "overlay asks for app: image: registry.example/app:1
overlay asks for registry.example/app: image: registry.example/app:2" ]
