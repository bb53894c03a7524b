# One image for each worker: `docker build --target consumer .`, or `producer`.
# The builder runs on the machine's own processor, whatever the image is for: deno compiles for the others as well.

FROM --platform=$BUILDPLATFORM denoland/deno:2.9.6 AS dependencies
WORKDIR /src
ENV DENO_DIR=/deno-dir
# On their own, so that a change of the code does not fetch them anew; --frozen: deno.lock or nothing.
COPY deno.json deno.lock ./
RUN deno install --frozen

FROM dependencies AS compile
ARG TARGETARCH
COPY migrations migrations
COPY tools tools
COPY workers workers
RUN deno task compile --arch=${TARGETARCH} --output=/out

# What deno compile makes needs glibc and libgcc; there is no other reason for a distribution. It writes nothing.
FROM debian:13.5-slim AS runtime
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
# In a container loopback is not enough: Prometheus asks from outside.
ENV HEALTH_HOST=0.0.0.0 HEALTH_PORT=9464
EXPOSE 9464

FROM runtime AS producer
COPY --from=compile /out/heartbeat-producer /usr/local/bin/heartbeat-producer
# Not through a shell: SIGTERM must reach the program.
ENTRYPOINT ["/usr/local/bin/heartbeat-producer"]

FROM runtime AS consumer
COPY --from=compile /out/heartbeat-consumer /usr/local/bin/heartbeat-consumer
ENTRYPOINT ["/usr/local/bin/heartbeat-consumer"]
