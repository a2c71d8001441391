"""Makes the bucket of CAUSEWAY_STORE_URL unless it is there."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]

client = boto3.client("s3")
wanted = urlsplit(os.environ["CAUSEWAY_STORE_URL"]).netloc
if wanted not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
    client.create_bucket(Bucket=wanted)
