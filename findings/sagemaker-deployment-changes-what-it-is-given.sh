#!/bin/sh
# flytekitplugins-awssagemaker 1.16.31: create_sagemaker_deployment writes its idempotence token into the dictionaries that it
# is given, and names the endpoint with it though `EndpointName` was a plain name. A second deployment in the same module
# that is made of the same dictionaries (another region, another images mapping) gets names with two tokens, and so other
# resources than the first: what was one definition is two endpoints, without a word.
#
# Seen on 2026-11-29:
#   given fish, after one deployment fish-{idempotence_token}, after two fish-{idempotence_token}-{idempotence_token}
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 flytekitplugins-awssagemaker==1.16.31 2>/dev/null
cat >"$folder/program.py" <<'PY'
from flytekit import kwtypes
from flytekitplugins.awssagemaker_inference import create_sagemaker_deployment

model = {
    "ModelName": "fish",
    "PrimaryContainer": {"Image": "{images.primary_container_image}", "ModelDataUrl": "{inputs.url}"},
    "ExecutionRoleArn": "{inputs.role}",
}
variant = {"VariantName": "a", "ModelName": "fish", "InitialInstanceCount": 1, "InstanceType": "ml.m4.xlarge"}
endpoint_config = {"EndpointConfigName": "fish", "ProductionVariants": [variant]}
endpoint = {"EndpointName": "fish", "EndpointConfigName": "fish"}
names = [endpoint["EndpointName"]]
for region in ("us-east-2", "eu-west-1"):
    create_sagemaker_deployment(
        name=f"deploy_{region.replace('-', '_')}",
        model_input_types=kwtypes(url=str, role=str),
        model_config=model,
        endpoint_config_config=endpoint_config,
        endpoint_config=endpoint,
        images={"primary_container_image": "example"},
        region=region,
    )
    names.append(endpoint["EndpointName"])
print(f"given {names[0]}, after one deployment {names[1]}, after two {names[2]}")
PY
told=$("$folder/venv/bin/python" "$folder/program.py" 2>/dev/null)
echo "$told"
[ "$told" = "given fish, after one deployment fish-{idempotence_token}, after two fish-{idempotence_token}-{idempotence_token}" ]
