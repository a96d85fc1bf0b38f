"""OpenTelemetry's OTLP over HTTP: traces, logs and metrics, in protobuf and in JSON."""
