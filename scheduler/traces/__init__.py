"""Executions that ended, as OpenTelemetry traces (CAUSEWAY_OTLP_URL): from the launch to each attempt."""
