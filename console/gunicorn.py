"""What the web server is told by Python rather than on its command line."""

from __future__ import annotations

from gunicorn.http import message  # type: ignore[import-untyped]

# Bytes. Ten partition values of 1024 characters, each of them up to 12 bytes in an address, make the longest query;
# gunicorn itself knows nothing between 8190 bytes and no limit at all.
LONGEST_REQUEST_LINE = 128 * 1024

message.MAX_REQUEST_LINE = LONGEST_REQUEST_LINE
limit_request_line = LONGEST_REQUEST_LINE
