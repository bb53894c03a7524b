# One image per worker: `docker build --target consumer .`, `--target producer` or `--target monitor`.
# The builder always runs on the processor of the build machine, because deno can compile for other processors.

FROM --platform=$BUILDPLATFORM denoland/deno:2.9.6 AS dependencies
WORKDIR /src
ENV DENO_DIR=/deno-dir
# Copied before the code, so that a change in the code does not download the packages again. --frozen: fail if deno.lock
# is out of date.
COPY deno.json deno.lock ./
RUN deno install --frozen

FROM dependencies AS compile
ARG TARGETARCH
COPY migrations migrations
COPY tools tools
COPY workers workers
RUN deno task compile --arch=${TARGETARCH} --output=/out

# An executable of deno compile needs glibc and libgcc, and nothing else from the distribution. It writes no files.
FROM debian:13.5-slim AS runtime
# A number, because Kubernetes cannot tell from a name that the user is not root.
USER 65532:65532
# Prometheus connects from outside the container, so loopback is not enough.
ENV HEALTH_HOST=0.0.0.0 HEALTH_PORT=9464
EXPOSE 9464

FROM runtime AS producer
COPY --from=compile /out/heartbeat-producer /usr/local/bin/heartbeat-producer
# Without a shell, so that SIGTERM reaches the program.
ENTRYPOINT ["/usr/local/bin/heartbeat-producer"]

FROM runtime AS monitor
COPY --from=compile /out/heartbeat-monitor /usr/local/bin/heartbeat-monitor
# A published port does not reach the loopback of the container. The monitor therefore requires more settings to start:
# a password, the address that people open, and TLS files or a trusted proxy.
ENV MONITOR_HOST=0.0.0.0
EXPOSE 8787
ENTRYPOINT ["/usr/local/bin/heartbeat-monitor"]

FROM runtime AS consumer
COPY --from=compile /out/heartbeat-consumer /usr/local/bin/heartbeat-consumer
ENTRYPOINT ["/usr/local/bin/heartbeat-consumer"]
