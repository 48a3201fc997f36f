# syntax=docker/dockerfile:1
#
# The program in a small image, without root. Dependencies and build output stay in caches between builds, so that
# a change of the sources compiles little more than itself.

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/usr/local/cargo/git,sharing=locked \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked --package tidemill-cli \
    && install -D target/release/tidemill /out/tidemill

# Not distroless: the handler `command` runs programs, and there would be none. curl is for health checks.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --create-home tidemill
COPY --from=build /out/tidemill /usr/local/bin/tidemill
USER 10001
WORKDIR /data
VOLUME /data
ENV TIDEMILL_BROKER=sqlite:/data/tidemill.db
STOPSIGNAL SIGTERM
ENTRYPOINT ["tidemill"]
CMD ["--help"]
